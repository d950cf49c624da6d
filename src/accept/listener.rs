//! Listening, and which worker a connection goes to.
//!
//! Every worker listens on a socket of its own (`SO_REUSEPORT`), so that a connection is accepted
//! by the thread that serves it and nobody is woken across threads. The kernel spreads by hash;
//! where that leaves a worker with more connections than another, it hands the new one over.

use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::net::{TcpListener, UnixListener};
use tokio::sync::mpsc;

use super::acceptor::Acceptor;
use super::bind::BACKLOG;
use super::connection;
use super::entry::Arrival;
use crate::record::ClientAddress;
use crate::transport::{AnySocket, ListenSocket, ParkedSocket};

/// Connections on their way to a worker. One that is not taken in time stays where it was accepted.
const INBOX: usize = 64;

/// A worker with this many connections more than the least loaded hands a new one over. One more
/// is noise; a wake across threads is paid only for a real imbalance.
const IMBALANCE: usize = 2;

/// Between two looks whether a neighbour needs help.
const HELP: Duration = Duration::from_millis(500);

/// The first pause when accepting fails for want of descriptors or memory.
const PAUSE: Duration = Duration::from_millis(5);

/// The longest.
const MAX_PAUSE: Duration = Duration::from_millis(500);

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
struct Counted {
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
    fn choose(&self, here: usize, full: bool) -> usize {
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

    fn is_starved(&self, worker: usize) -> bool {
        self.0[worker].starved.load(Ordering::Relaxed)
    }

    /// Who accepts in a starved worker's place: the next one that is not.
    fn stands_in(&self, starved: usize) -> Option<usize> {
        let all = self.0.len();
        let mut others = (1..all).map(|beyond| (starved + beyond) % all);
        others.find(|worker| !self.is_starved(*worker))
    }

    fn count(&self, worker: usize) -> Counted {
        self.0[worker].open.fetch_add(1, Ordering::Relaxed);
        Counted { loads: self.clone(), worker }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.loads.0[self.worker].open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A listening socket of the worker's runtime, with the number of its listener in the configuration.
struct Socket(usize, Kind);

enum Kind {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Socket {
    fn new(nth: usize, socket: ListenSocket) -> io::Result<Self> {
        let kind = match socket {
            ListenSocket::Tcp(socket) => Kind::Tcp(TcpListener::from_std(socket)?),
            ListenSocket::Unix(socket) => Kind::Unix(UnixListener::from_std(socket)?),
        };
        Ok(Self(nth, kind))
    }

    async fn accept(&self) -> io::Result<Arrival<AnySocket>> {
        let (stream, address) = match &self.1 {
            Kind::Tcp(socket) => {
                let (stream, address) = socket.accept().await?;
                (AnySocket::Tcp(stream), address.into())
            }
            Kind::Unix(socket) => {
                let (stream, _unnamed) = socket.accept().await?;
                (AnySocket::Unix(stream), ClientAddress::Unix)
            }
        };
        Ok(Arrival { stream, address, listener: self.0 })
    }

    fn into_std(self) -> io::Result<(usize, ListenSocket)> {
        let socket = match self.1 {
            Kind::Tcp(socket) => ListenSocket::Tcp(socket.into_std()?),
            Kind::Unix(socket) => ListenSocket::Unix(socket.into_std()?),
        };
        Ok((self.0, socket))
    }
}

/// Accepts for `worker` on the configuration's `nth` listener until `ends` does; then what the kernel has accepted
/// by then, and no more. Failing to accept never ends it.
///
/// # Errors
/// The listener cannot be put to use.
pub async fn listen(
    socket: ListenSocket,
    nth: usize,
    worker: usize,
    loads: Loads,
    acceptor: Rc<Acceptor>,
    ends: impl Future<Output = ()>,
) -> io::Result<()> {
    let socket = Socket::new(nth, socket)?;
    let take = |arrival| serve_somewhere(worker, &loads, &acceptor, arrival);
    tokio::select! {
        refused = accept(&socket, &acceptor, &take) => return refused,
        () = ends => {}
    }
    let (nth, socket) = socket.into_std()?;
    take_queued(nth, &socket, &take)
}

/// Who is in the queue has connected: closing the listener would reset them. The kernel is asked, not the
/// runtime, which knows only what was there when it last slept.
fn take_queued(
    nth: usize,
    socket: &ListenSocket,
    take: &impl Fn(Arrival<AnySocket>) -> io::Result<()>,
) -> io::Result<()> {
    for _ in 0..BACKLOG {
        match accept_parked(nth, socket) {
            Ok(parked) => take(unpark(parked)?)?,
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(_) => break,
        }
    }
    Ok(())
}

fn accept_parked(nth: usize, socket: &ListenSocket) -> io::Result<Arrival<ParkedSocket>> {
    let (stream, address) = match socket {
        ListenSocket::Tcp(socket) => {
            let (stream, address) = socket.accept()?;
            stream.set_nonblocking(true)?;
            (ParkedSocket::Tcp(stream), address.into())
        }
        ListenSocket::Unix(socket) => {
            let (stream, _unnamed) = socket.accept()?;
            stream.set_nonblocking(true)?;
            (ParkedSocket::Unix(stream), ClientAddress::Unix)
        }
    };
    Ok(Arrival { stream, address, listener: nth })
}

async fn accept(
    socket: &Socket,
    acceptor: &Acceptor,
    take: &impl Fn(Arrival<AnySocket>) -> io::Result<()>,
) -> io::Result<()> {
    let mut pause = PAUSE;
    loop {
        let arrival = match socket.accept().await {
            Ok(accepted) => accepted,
            // The client was gone before we came: no shortage, no pause.
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => continue,
            Err(shortage) => {
                acceptor.recorder().accept_paused();
                if pause == PAUSE {
                    // Once for each shortage: it lasts until a connection is accepted again.
                    tracing::warn!(%shortage, "cannot accept new connections; will retry shortly");
                }
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(MAX_PAUSE);
                continue;
            }
        };
        pause = PAUSE;
        take(arrival)?;
    }
}

/// Accepts what waits for neighbours that have to wait for their cores, while `worker` is the next that need
/// not. `listeners` are those of each worker. Dropped, it accepts no more at once.
pub async fn help(
    worker: usize,
    loads: Loads,
    listeners: Arc<[Vec<(usize, ListenSocket)>]>,
    acceptor: Rc<Acceptor>,
) {
    loop {
        let theirs = in_need(worker, &loads, &listeners);
        let mut accepting = tokio::task::JoinSet::new();
        for socket in theirs {
            let (loads, acceptor) = (loads.clone(), Rc::clone(&acceptor));
            accepting.spawn_local(async move {
                let take = |arrival| serve_somewhere(worker, &loads, &acceptor, arrival);
                accept(&socket, &acceptor, &take).await
            });
        }
        tokio::time::sleep(HELP).await;
    }
}

/// Listeners of neighbours that have to wait for their cores, where `worker` is who stands in.
fn in_need(worker: usize, loads: &Loads, listeners: &[Vec<(usize, ListenSocket)>]) -> Vec<Socket> {
    let all = listeners.iter().enumerate();
    all.filter(|(there, _)| loads.is_starved(*there) && loads.stands_in(*there) == Some(worker))
        .flat_map(|(_, theirs)| theirs)
        // Where descriptors are short there are none to accept with either.
        .filter_map(|(nth, socket)| Socket::new(*nth, socket.try_clone().ok()?).ok())
        .collect()
}

/// Serves what `worker` accepted, or hands it over.
fn serve_somewhere(
    worker: usize,
    loads: &Loads,
    acceptor: &Rc<Acceptor>,
    arrival: Arrival<AnySocket>,
) -> io::Result<()> {
    let there = loads.choose(worker, acceptor.is_full());
    let mine = if there == worker { Some(arrival) } else { hand_over(loads, there, arrival)? };
    if let Some(arrival) = mine {
        serve(acceptor, arrival, loads.count(worker));
    }
    Ok(())
}

/// The connection again if the other worker cannot take it now.
fn hand_over(
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

fn unpark(parked: Arrival<ParkedSocket>) -> io::Result<Arrival<AnySocket>> {
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

fn serve(acceptor: &Rc<Acceptor>, arrival: Arrival<AnySocket>, counted: Counted) {
    let served = connection::serve(Rc::clone(acceptor), arrival);
    tokio::task::spawn_local(async move {
        served.await;
        drop(counted);
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::accept::bind::bind_tcp;
    use std::net::{TcpListener as StdListener, TcpStream as StdStream};

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
    async fn what_waits_for_a_starved_neighbour_is_accepted_by_the_next() -> io::Result<()> {
        let (loads, _inboxes) = Loads::new(3);
        let bound = |_| {
            let sockets = bind_tcp("127.0.0.1:0".parse().expect("an address"), false, 1)?;
            io::Result::Ok(sockets.into_iter().map(|socket| (0, socket)).collect())
        };
        let listeners: Vec<Vec<_>> = (0..3).map(bound).collect::<io::Result<_>>()?;
        assert!(in_need(1, &loads, &listeners).is_empty());
        loads.set_starved(0, true);
        assert!(in_need(2, &loads, &listeners).is_empty(), "the next one is not starved");
        let at = listeners[0][0].1.address()?.ip().expect("an address");
        let client = StdStream::connect(at)?;
        let theirs = in_need(1, &loads, &listeners);
        let accepted = theirs[0].accept().await?;
        assert_eq!((theirs.len(), accepted.address), (1, client.local_addr()?.into()));
        loads.set_starved(0, false);
        assert!(in_need(1, &loads, &listeners).is_empty());
        Ok(())
    }

    #[tokio::test]
    async fn whoever_has_connected_is_taken_before_a_listener_closes() -> io::Result<()> {
        let listener = StdListener::bind("127.0.0.1:0")?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let socket = Socket::new(0, listener.into())?;
        // The runtime has not slept since: it knows of none of them.
        let _clients = [(); 3].map(|()| StdStream::connect(address).expect("it listens"));
        let taken = std::cell::Cell::new(0);
        let take = |_| {
            taken.set(taken.get() + 1);
            Ok(())
        };
        take_queued(0, &socket.into_std()?.1, &take)?;
        assert_eq!(taken.get(), 3);
        Ok(())
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
