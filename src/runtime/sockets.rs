//! The sockets that a proxy listens on: opened, or taken over.

use std::io;
use std::net::{SocketAddr, TcpListener};

use super::error::StartError;
use crate::accept;
use crate::config::{Config, ListenAddress, Listener};
use crate::handover::{Inherited, Listening};
use crate::transport::ListenSocket;

/// All of them, by who is to accept.
pub(super) struct Sockets {
    /// One set for each worker; each socket with the number of its listener.
    pub(super) workers: Vec<Vec<(usize, ListenSocket)>>,
    /// Where clients connect, in the configuration's order.
    pub(super) addresses: Vec<ListenAddress>,
    pub(super) admin: Option<(SocketAddr, TcpListener)>,
    /// To be given on.
    pub(super) kept: Listening,
}

impl Sockets {
    /// Takes what was given, and opens the rest.
    ///
    /// # Errors
    /// An address cannot be listened on; or systemd and the configuration do not say the same.
    pub(super) fn open(config: &Config, mut given: Inherited) -> Result<Self, StartError> {
        let workers = config.workers.get();
        let mut sockets = Self {
            workers: (0..workers).map(|_| Vec::new()).collect(),
            addresses: Vec::new(),
            admin: None,
            kept: Listening::default(),
        };
        for (nth, listener) in config.listen.iter().enumerate() {
            let address = &listener.address;
            let own = given.clients(address);
            let failed = |error| StartError::Listen(address.clone(), error);
            let own = match own.is_empty() {
                false => own,
                true if given.is_complete() => return Err(StartError::NotGiven(address.clone())),
                true => accept::bind(listener, &config.listen, workers).map_err(failed)?,
            };
            sockets.listen(nth, listener, own).map_err(failed)?;
        }
        if let Some(admin) = config.admin {
            let address = ListenAddress::Ip(admin);
            let failed = |error| StartError::Listen(address.clone(), error);
            let socket = match given.admin(&address) {
                Some(ListenSocket::Tcp(socket)) => socket,
                _ => TcpListener::bind(admin).map_err(failed)?,
            };
            let kept = socket.try_clone().map_err(failed)?.into();
            sockets.kept.keep_admin(&address, &kept).map_err(failed)?;
            sockets.admin = Some((socket.local_addr().map_err(failed)?, socket));
        }
        match given.left().into_iter().next() {
            Some(address) if given.is_complete() => Err(StartError::NotMeant(address)),
            Some(address) => {
                tracing::warn!(%address, "closing a listener that is no longer in `listen`");
                Ok(sockets)
            }
            None => Ok(sockets),
        }
    }

    fn listen(
        &mut self,
        nth: usize,
        listener: &Listener,
        own: Vec<ListenSocket>,
    ) -> io::Result<()> {
        for (first, socket) in own.iter().enumerate() {
            socket.set_nonblocking()?;
            self.kept.keep(&listener.address, socket)?;
            if first == 0 {
                self.addresses.push(match (&listener.address, socket) {
                    // With the port that the kernel chose.
                    (ListenAddress::Ip(_), ListenSocket::Tcp(_)) => socket.address()?,
                    (address, _) => address.clone(),
                });
            }
        }
        let sets = spread(own, self.workers.len())?;
        for (set, sockets) in self.workers.iter_mut().zip(sets) {
            set.extend(sockets.into_iter().map(|socket| (nth, socket)));
        }
        Ok(())
    }
}

/// Each worker gets one at least, and each socket a worker at least: its queue would be lost otherwise.
/// Who share one are all woken for a connection, and one of them has it.
fn spread(sockets: Vec<ListenSocket>, workers: usize) -> io::Result<Vec<Vec<ListenSocket>>> {
    let mut sets: Vec<Vec<ListenSocket>> = Vec::with_capacity(workers);
    for worker in 0..workers {
        // Those that have none of their own get a second descriptor of another's.
        let shared = sockets.get(worker % sockets.len().max(1)).filter(|_| worker >= sockets.len());
        sets.push(shared.map(ListenSocket::try_clone).transpose()?.into_iter().collect());
    }
    for (nth, socket) in sockets.into_iter().enumerate() {
        sets[nth % workers.max(1)].push(socket);
    }
    Ok(sets)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sizes(sockets: usize, workers: usize) -> Vec<usize> {
        let any = |_| TcpListener::bind("127.0.0.1:0").unwrap().into();
        let sockets = (0..sockets).map(any).collect();
        spread(sockets, workers).unwrap().iter().map(Vec::len).collect()
    }

    #[test]
    fn no_worker_is_without_a_socket_and_no_socket_without_a_worker() {
        assert_eq!(sizes(2, 2), [1, 1]);
        assert_eq!(sizes(1, 3), [1, 1, 1]);
        assert_eq!(sizes(2, 5), [1, 1, 1, 1, 1]);
        assert_eq!(sizes(5, 2), [3, 2]);
        assert_eq!(sizes(3, 1), [3]);
    }
}
