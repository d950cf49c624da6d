//! Listening, and which worker a connection goes to.
//!
//! Every worker listens on a socket of its own (`SO_REUSEPORT`), so that a connection is accepted
//! by the thread that serves it and nobody is woken across threads. The kernel spreads by hash;
//! where that leaves a worker with more connections than another, it hands the new one over.

use std::io;
use std::net::{SocketAddr, TcpListener as StdListener, TcpStream as StdStream};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

use super::acceptor::Acceptor;
use super::connection;

/// Connections that the kernel may hold for us while a worker is busy; the kernel caps it at
/// `net.core.somaxconn`.
const BACKLOG: i32 = 4096;

/// Connections on their way to a worker. One that is not taken in time stays where it was accepted.
const INBOX: usize = 64;

/// A worker with this many connections more than the least loaded hands a new one over. One more
/// is noise; a wake across threads is paid only for a real imbalance.
const IMBALANCE: usize = 2;

/// The first pause when accepting fails for want of descriptors or memory.
const PAUSE: Duration = Duration::from_millis(5);

/// The longest.
const MAX_PAUSE: Duration = Duration::from_millis(500);

/// Opens the listening sockets of all workers for one address; with port 0 they share the port that
/// the first is given. A port on which another process listens already is refused, although the
/// kernel would let two processes of one user share it: half the connections would go astray. `only_ipv6`:
/// IPv4 is another listener's; without it `[::]` takes both, whatever the machine's default is.
///
/// # Errors
/// The address cannot be bound.
pub fn bind(address: SocketAddr, only_ipv6: bool, workers: usize) -> io::Result<Vec<StdListener>> {
    let mut address = address;
    if address.port() != 0 {
        // Not listened on: whoever connects meanwhile would be reset.
        socket_for(address, only_ipv6)?.bind(&address.into())?;
    }
    let mut listeners = Vec::with_capacity(workers);
    for _ in 0..workers {
        let socket = socket_for(address, only_ipv6)?;
        socket.set_reuse_port(true)?;
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        let listener = StdListener::from(socket);
        address = listener.local_addr()?;
        listeners.push(listener);
    }
    Ok(listeners)
}

fn socket_for(address: SocketAddr, only_ipv6: bool) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(only_ipv6)?;
    }
    Ok(socket)
}

/// Open connections of each worker, and where to hand it more. Shared by all workers.
#[derive(Clone)]
pub struct Loads(Arc<[Worker]>);

struct Worker {
    open: AtomicUsize,
    /// Of them, those without a request.
    idle: Arc<AtomicUsize>,
    inbox: mpsc::Sender<(StdStream, SocketAddr)>,
}

/// Connections that others accepted for this worker.
pub struct Inbox(mpsc::Receiver<(StdStream, SocketAddr)>);

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
                (Worker { open: AtomicUsize::new(0), idle: Arc::default(), inbox }, Inbox(mine))
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
        let least = (0..self.0.len()).min_by_key(|worker| open(*worker)).unwrap_or(here);
        if open(here) >= open(least) + IMBALANCE { least } else { here }
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

/// Accepts for `worker` until `ends` does; then what the kernel has accepted by then, and no more. Failing to
/// accept never ends it.
///
/// # Errors
/// The listener cannot be put to use.
pub async fn listen(
    listener: StdListener,
    worker: usize,
    loads: Loads,
    acceptor: Rc<Acceptor>,
    ends: impl Future<Output = ()>,
) -> io::Result<()> {
    let listener = TcpListener::from_std(listener)?;
    let take = |stream, address| serve_somewhere(worker, &loads, &acceptor, stream, address);
    tokio::select! {
        refused = accept(&listener, &acceptor, &take) => return refused,
        () = ends => {}
    }
    take_queued(&listener.into_std()?, &take)
}

/// Who is in the queue has connected: closing the listener would reset them. The kernel is asked, not the
/// runtime, which knows only what was there when it last slept.
fn take_queued(
    listener: &StdListener,
    take: &impl Fn(TcpStream, SocketAddr) -> io::Result<()>,
) -> io::Result<()> {
    for _ in 0..BACKLOG {
        match listener.accept() {
            Ok((stream, address)) => {
                stream.set_nonblocking(true)?;
                take(TcpStream::from_std(stream)?, address)?;
            }
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(_) => break,
        }
    }
    Ok(())
}

async fn accept(
    listener: &TcpListener,
    acceptor: &Acceptor,
    take: &impl Fn(TcpStream, SocketAddr) -> io::Result<()>,
) -> io::Result<()> {
    let mut pause = PAUSE;
    loop {
        let (stream, address) = match listener.accept().await {
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
        take(stream, address)?;
    }
}

/// Serves what `worker` accepted, or hands it over.
fn serve_somewhere(
    worker: usize,
    loads: &Loads,
    acceptor: &Rc<Acceptor>,
    stream: TcpStream,
    address: SocketAddr,
) -> io::Result<()> {
    let there = loads.choose(worker, acceptor.is_full());
    let mine = if there == worker {
        Some((stream, address))
    } else {
        hand_over(loads, there, stream, address)?
    };
    if let Some((stream, address)) = mine {
        serve(acceptor, stream, address, loads.count(worker));
    }
    Ok(())
}

/// The connection again if the other worker cannot take it now.
fn hand_over(
    loads: &Loads,
    there: usize,
    stream: TcpStream,
    address: SocketAddr,
) -> io::Result<Option<(TcpStream, SocketAddr)>> {
    let stream = stream.into_std()?;
    match loads.0[there].inbox.try_send((stream, address)) {
        Ok(()) => Ok(None),
        Err(mpsc::error::TrySendError::Full(back) | mpsc::error::TrySendError::Closed(back)) => {
            Ok(Some((TcpStream::from_std(back.0)?, back.1)))
        }
    }
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
        let take = |(stream, address)| {
            // A socket that the runtime cannot take is closed; its client connects again.
            if let Ok(stream) = TcpStream::from_std(stream) {
                serve(&acceptor, stream, address, loads.count(worker));
            }
        };
        self.pass(take, ends).await;
    }

    async fn pass(
        mut self,
        mut take: impl FnMut((StdStream, SocketAddr)),
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

fn serve(acceptor: &Rc<Acceptor>, stream: TcpStream, address: SocketAddr, counted: Counted) {
    let served = connection::serve(Rc::clone(acceptor), stream, address);
    tokio::task::spawn_local(async move {
        served.await;
        drop(counted);
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_workers_share_the_port_that_the_kernel_chose() -> io::Result<()> {
        let listeners = bind("127.0.0.1:0".parse().expect("an address"), false, 3)?;
        let ports: Vec<_> =
            listeners.iter().map(|l| l.local_addr().map(|a| a.port())).collect::<Result<_, _>>()?;
        assert_eq!(ports.len(), 3);
        assert!(ports[0] != 0 && ports.iter().all(|port| *port == ports[0]));
        Ok(())
    }

    #[test]
    fn a_port_that_another_listens_on_is_refused_though_both_would_share_it() -> io::Result<()> {
        let first = bind("127.0.0.1:0".parse().expect("an address"), false, 1)?;
        let refused = bind(first[0].local_addr()?, false, 1);
        assert_eq!(refused.err().map(|error| error.kind()), Some(io::ErrorKind::AddrInUse));
        Ok(())
    }

    #[test]
    fn both_wildcards_share_a_port_each_with_its_own_family() -> io::Result<()> {
        let ipv6 = bind("[::]:0".parse().expect("an address"), true, 2)?;
        let port = ipv6[0].local_addr()?.port();
        let ipv4 = bind(([0, 0, 0, 0], port).into(), false, 2)?;
        StdStream::connect(("127.0.0.1", port))?;
        StdStream::connect(("::1", port))?;
        let accepts = |all: &[StdListener]| all.iter().filter(|one| one.accept().is_ok()).count();
        assert_eq!((accepts(&ipv4), accepts(&ipv6)), (1, 1));
        Ok(())
    }

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
    async fn whoever_has_connected_is_taken_before_a_listener_closes() -> io::Result<()> {
        let listener = StdListener::bind("127.0.0.1:0")?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let listener = TcpListener::from_std(listener)?;
        // The runtime has not slept since: it knows of none of them.
        let _clients = [(); 3].map(|()| StdStream::connect(address).expect("it listens"));
        let taken = std::cell::Cell::new(0);
        let take = |_, _| {
            taken.set(taken.get() + 1);
            Ok(())
        };
        take_queued(&listener.into_std()?, &take)?;
        assert_eq!(taken.get(), 3);
        Ok(())
    }

    #[tokio::test]
    async fn an_inbox_that_ends_gives_all_that_is_in_it_and_takes_no_more() -> io::Result<()> {
        let (loads, mut inboxes) = Loads::new(2);
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let connect = || TcpStream::connect(address);
        for _ in 0..3 {
            assert!(hand_over(&loads, 1, connect().await?, address)?.is_none(), "it takes it");
        }
        let mut taken = 0;
        let inbox = inboxes.remove(1);
        inbox.pass(|_| taken += 1, std::future::ready(())).await;
        assert_eq!(taken, 3);
        assert!(hand_over(&loads, 1, connect().await?, address)?.is_some(), "it comes back");
        Ok(())
    }
}
