//! How many connections each worker has, and how one gets from the worker that accepted it to another.

use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::sync::mpsc;

use super::acceptor::Acceptor;
use super::connection;
use super::entry::Arrival;
use crate::transport::{AnySocket, ParkedSocket};

/// Connections on their way to a worker. One that is not taken in time stays where it was accepted.
const INBOX: usize = 64;

/// A worker with this many connections more than the least loaded hands a new one over. One more
/// is noise; a wake across threads is paid only for a real imbalance.
const IMBALANCE: usize = 2;

/// Open connections of each worker, and where to hand it more. Shared by all workers.
#[derive(Clone)]
pub struct Loads(Arc<[Worker]>);

struct Worker {
    open: AtomicUsize,
    /// It has to wait for its core.
    starved: AtomicBool,
    /// Of them, those without a request.
    idle: Arc<AtomicUsize>,
    inbox: mpsc::Sender<Arrival<ParkedSocket>>,
}

/// Connections that others accepted for this worker.
pub struct Inbox(mpsc::Receiver<Arrival<ParkedSocket>>);

/// A connection counted for a worker.
pub(super) struct Counted {
    loads: Loads,
    worker: usize,
}

impl Loads {
    /// For this many workers; each takes its inbox.
    pub fn new(workers: usize) -> (Self, Vec<Inbox>) {
        let (loads, inboxes) = (0..workers)
            .map(|_| {
                let (inbox, mine) = mpsc::channel(INBOX);
                (
                    Worker {
                        open: AtomicUsize::new(0),
                        starved: AtomicBool::new(false),
                        idle: Arc::default(),
                        inbox,
                    },
                    Inbox(mine),
                )
            })
            .collect::<(Vec<_>, Vec<_>)>();
        (Self(loads.into()), inboxes)
    }

    /// Where a worker shows how many of its connections have no request.
    pub fn idle(&self, worker: usize) -> Arc<AtomicUsize> {
        Arc::clone(&self.0[worker].idle)
    }

    /// The worker that should have a connection which `here` accepted. Where all places are taken, one that
    /// has a connection to send away.
    pub(super) fn choose(&self, here: usize, full: bool) -> usize {
        if full {
            let idle = |worker: &usize| self.0[*worker].idle.load(Ordering::Relaxed);
            let most = (0..self.0.len()).max_by_key(idle).filter(|_| idle(&here) == 0);
            return most.filter(|most| idle(most) > 0).unwrap_or(here);
        }
        let open = |worker: usize| self.0[worker].open.load(Ordering::Relaxed);
        let all_starve = (0..self.0.len()).all(|worker| self.is_starved(worker));
        let takes = |worker: &usize| all_starve || !self.is_starved(*worker);
        let least = (0..self.0.len()).filter(takes).min_by_key(|worker| open(*worker));
        let least = least.unwrap_or(here);
        if !takes(&here) || open(here) >= open(least) + IMBALANCE { least } else { here }
    }

    /// What a worker says of itself: whether it has to wait for its core. New connections go elsewhere then.
    pub fn set_starved(&self, worker: usize, starved: bool) {
        self.0[worker].starved.store(starved, Ordering::Relaxed);
    }

    pub(super) fn is_starved(&self, worker: usize) -> bool {
        self.0[worker].starved.load(Ordering::Relaxed)
    }

    /// Who accepts in a starved worker's place: the next one that is not.
    pub(super) fn stands_in(&self, starved: usize) -> Option<usize> {
        let all = self.0.len();
        let mut others = (1..all).map(|beyond| (starved + beyond) % all);
        others.find(|worker| !self.is_starved(*worker))
    }

    pub(super) fn count(&self, worker: usize) -> Counted {
        self.0[worker].open.fetch_add(1, Ordering::Relaxed);
        Counted { loads: self.clone(), worker }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.loads.0[self.worker].open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The connection again if the other worker cannot take it now.
pub(super) fn hand_over(
    loads: &Loads,
    there: usize,
    arrival: Arrival<AnySocket>,
) -> io::Result<Option<Arrival<AnySocket>>> {
    let Arrival { stream, address, listener } = arrival;
    let parked = Arrival { stream: stream.park()?, address, listener };
    match loads.0[there].inbox.try_send(parked) {
        Ok(()) => Ok(None),
        Err(mpsc::error::TrySendError::Full(back) | mpsc::error::TrySendError::Closed(back)) => {
            Ok(Some(unpark(back)?))
        }
    }
}

/// As the worker's runtime has it.
pub(super) fn unpark(parked: Arrival<ParkedSocket>) -> io::Result<Arrival<AnySocket>> {
    let Arrival { stream, address, listener } = parked;
    Ok(Arrival { stream: AnySocket::unpark(stream)?, address, listener })
}

impl Inbox {
    /// Serves what other workers hand over, until `ends` does and all is served that was handed over by
    /// then: from that moment on a worker keeps what it accepted. Dropped, it closes what is in it.
    pub async fn receive(
        self,
        worker: usize,
        loads: Loads,
        acceptor: Rc<Acceptor>,
        ends: impl Future<Output = ()>,
    ) {
        let take = |parked| {
            // A socket that the runtime cannot take is closed; its client connects again.
            if let Ok(arrival) = unpark(parked) {
                serve(&acceptor, arrival, loads.count(worker));
            }
        };
        self.pass(take, ends).await;
    }

    async fn pass(
        mut self,
        mut take: impl FnMut(Arrival<ParkedSocket>),
        ends: impl Future<Output = ()>,
    ) {
        let mut ends = std::pin::pin!(ends);
        loop {
            tokio::select! {
                () = &mut ends => break,
                came = self.0.recv() => match came {
                    Some(came) => take(came),
                    None => return,
                },
            }
        }
        self.0.close();
        while let Some(came) = self.0.recv().await {
            take(came);
        }
    }
}

/// Serves it in a task of its own, counted until it ends.
pub(super) fn serve(acceptor: &Rc<Acceptor>, arrival: Arrival<AnySocket>, counted: Counted) {
    let served = connection::serve(Rc::clone(acceptor), arrival);
    tokio::task::spawn_local(async move {
        served.await;
        drop(counted);
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    #[test]
    fn a_connection_is_handed_over_only_when_the_imbalance_is_real() {
        let (loads, _inboxes) = Loads::new(2);
        let _first = loads.count(0);
        assert_eq!(loads.choose(0, false), 0, "one more is noise");
        let _second = loads.count(0);
        assert_eq!(loads.choose(0, false), 1);
        assert_eq!(loads.choose(1, false), 1);
    }

    #[test]
    fn a_worker_that_waits_for_its_core_gets_no_new_connection_unless_all_do() {
        let (loads, _inboxes) = Loads::new(3);
        let _busy = [loads.count(1), loads.count(2), loads.count(2)];
        loads.set_starved(0, true);
        assert_eq!([0, 1, 2].map(|here| loads.choose(here, false)), [1, 1, 2], "the least loaded");
        let _busier = [loads.count(2), loads.count(2)];
        assert_eq!(loads.choose(2, false), 1, "not to it, though it has none");
        assert_eq!((loads.stands_in(0), loads.stands_in(1)), (Some(1), Some(2)));
        loads.set_starved(1, true);
        assert_eq!(loads.stands_in(0), Some(2));
        loads.set_starved(2, true);
        assert_eq!([0, 2].map(|here| loads.choose(here, false)), [0, 0], "as if none were");
        assert_eq!(loads.stands_in(0), None);
    }

    #[test]
    fn where_all_places_are_taken_it_goes_to_who_can_send_somebody_away() {
        let (loads, _inboxes) = Loads::new(3);
        let _busy = [loads.count(0), loads.count(0), loads.count(0)];
        assert_eq!(loads.choose(0, true), 0, "nobody can");
        loads.idle(2).store(1, Ordering::Relaxed);
        assert_eq!([0, 1, 2].map(|here| loads.choose(here, true)), [2, 2, 2]);
        loads.idle(0).store(1, Ordering::Relaxed);
        assert_eq!(loads.choose(0, true), 0, "itself first");
    }

    #[tokio::test]
    async fn an_inbox_that_ends_gives_all_that_is_in_it_and_takes_no_more() -> io::Result<()> {
        let (loads, mut inboxes) = Loads::new(2);
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let arrives = async || {
            let stream = AnySocket::Tcp(tokio::net::TcpStream::connect(address).await?);
            io::Result::Ok(Arrival { stream, address: address.into(), listener: 0 })
        };
        for _ in 0..3 {
            assert!(hand_over(&loads, 1, arrives().await?)?.is_none(), "it takes it");
        }
        let mut taken = 0;
        let inbox = inboxes.remove(1);
        inbox.pass(|_| taken += 1, std::future::ready(())).await;
        assert_eq!(taken, 3);
        assert!(hand_over(&loads, 1, arrives().await?)?.is_some(), "it comes back");
        Ok(())
    }
}
