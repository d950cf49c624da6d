//! Listening.
//!
//! Every worker listens on a socket of its own (`SO_REUSEPORT`), so that a connection is accepted
//! by the thread that serves it and nobody is woken across threads. The kernel spreads by hash;
//! where that leaves a worker with more connections than another, it hands the new one over (`loads`).

use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, UnixListener};

use super::acceptor::Acceptor;
use super::bind::BACKLOG;
use super::entry::Arrival;
use super::loads::{Loads, hand_over, serve, unpark};
use crate::record::ClientAddress;
use crate::transport::{AnySocket, ListenSocket, ParkedSocket};

/// Between two looks whether a neighbour needs help.
const HELP: Duration = Duration::from_millis(500);

/// The first pause when accepting fails for want of descriptors or memory.
const PAUSE: Duration = Duration::from_millis(5);

/// The longest.
const MAX_PAUSE: Duration = Duration::from_millis(500);

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::accept::bind::bind_tcp;
    use std::net::{TcpListener as StdListener, TcpStream as StdStream};

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
}
