//! The sockets that a proxy listens on: opened, or taken over.

use std::io;
use std::net::{SocketAddr, TcpListener};

use super::error::StartError;
use crate::accept;
use crate::config::{Config, takes_only_ipv6};
use crate::handover::{Inherited, Listening};

/// All of them, by who is to accept.
pub(super) struct Sockets {
    /// One set for each worker.
    pub(super) workers: Vec<Vec<TcpListener>>,
    /// Where clients connect, in the configuration's order.
    pub(super) addresses: Vec<SocketAddr>,
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
        for address in &config.listen {
            let own = given.clients(*address);
            let own = match own.is_empty() {
                false => own,
                true if given.is_complete() => return Err(StartError::NotGiven(*address)),
                true => accept::bind(*address, takes_only_ipv6(*address, &config.listen), workers)
                    .map_err(|error| StartError::Listen(*address, error))?,
            };
            sockets.listen(*address, own).map_err(|error| StartError::Listen(*address, error))?;
        }
        if let Some(address) = config.admin {
            let failed = |error| StartError::Listen(address, error);
            let socket = match given.admin(address) {
                Some(socket) => socket,
                None => TcpListener::bind(address).map_err(failed)?,
            };
            sockets.kept.keep_admin(address, &socket).map_err(failed)?;
            sockets.admin = Some((socket.local_addr().map_err(failed)?, socket));
        }
        match given.left().first() {
            Some(address) if given.is_complete() => Err(StartError::NotMeant(*address)),
            Some(address) => {
                tracing::warn!(%address, "closing a listener that is no longer in `listen`");
                Ok(sockets)
            }
            None => Ok(sockets),
        }
    }

    fn listen(&mut self, address: SocketAddr, own: Vec<TcpListener>) -> io::Result<()> {
        for (nth, socket) in own.iter().enumerate() {
            socket.set_nonblocking(true)?;
            self.kept.keep(address, socket)?;
            if nth == 0 {
                self.addresses.push(socket.local_addr()?);
            }
        }
        let sets = spread(own, self.workers.len())?;
        for (set, sockets) in self.workers.iter_mut().zip(sets) {
            set.extend(sockets);
        }
        Ok(())
    }
}

/// Each worker gets one at least, and each socket a worker at least: its queue would be lost otherwise.
/// Who share one are all woken for a connection, and one of them has it.
fn spread(sockets: Vec<TcpListener>, workers: usize) -> io::Result<Vec<Vec<TcpListener>>> {
    let mut sets: Vec<Vec<TcpListener>> = Vec::with_capacity(workers);
    for worker in 0..workers {
        // Those that have none of their own get a second descriptor of another's.
        let shared = sockets.get(worker % sockets.len().max(1)).filter(|_| worker >= sockets.len());
        sets.push(shared.map(TcpListener::try_clone).transpose()?.into_iter().collect());
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
        let sockets = (0..sockets).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
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
