//! The sockets that this process listens on, kept to be given on.

use std::io;
use std::net::{SocketAddr, TcpListener};

use super::channel::{Channel, Message};

/// A second descriptor of each. As long as one is kept the kernel goes on queueing connections: they are
/// dropped before a drain, or clients would wait for nobody.
#[derive(Debug, Default)]
pub struct Listening {
    clients: Vec<(SocketAddr, TcpListener)>,
    admin: Option<(SocketAddr, TcpListener)>,
}

impl Listening {
    /// Keeps a socket of an address as the configuration has it.
    ///
    /// # Errors
    /// There is no descriptor left.
    pub fn keep(&mut self, address: SocketAddr, socket: &TcpListener) -> io::Result<()> {
        self.clients.push((address, socket.try_clone()?));
        Ok(())
    }

    /// Keeps the admin listener's.
    ///
    /// # Errors
    /// As for [`Listening::keep`].
    pub fn keep_admin(&mut self, address: SocketAddr, socket: &TcpListener) -> io::Result<()> {
        self.admin = Some((address, socket.try_clone()?));
        Ok(())
    }

    /// Sends all to the other end.
    pub(super) fn send(&self, channel: &Channel) -> io::Result<()> {
        for (address, socket) in &self.clients {
            channel.send(&Message::Client(*address, socket.try_clone()?))?;
        }
        if let Some((address, socket)) = &self.admin {
            channel.send(&Message::Admin(*address, socket.try_clone()?))?;
        }
        channel.send(&Message::All)
    }
}
