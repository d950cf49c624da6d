//! The sockets that this process listens on, kept to be given on.

use std::io;

use super::channel::{Channel, Message};
use crate::config::ListenAddress;
use crate::transport::ListenSocket;

/// A second descriptor of each. As long as one is kept the kernel goes on queueing connections: they are
/// dropped before a drain, or clients would wait for nobody.
#[derive(Debug, Default)]
pub struct Listening {
    clients: Vec<(ListenAddress, ListenSocket)>,
    admin: Option<(ListenAddress, ListenSocket)>,
}

impl Listening {
    /// Keeps a socket of an address as the configuration has it.
    ///
    /// # Errors
    /// There is no descriptor left.
    pub fn keep(&mut self, address: &ListenAddress, socket: &ListenSocket) -> io::Result<()> {
        self.clients.push((address.clone(), socket.try_clone()?));
        Ok(())
    }

    /// Keeps the admin listener's.
    ///
    /// # Errors
    /// As for [`Listening::keep`].
    pub fn keep_admin(&mut self, address: &ListenAddress, socket: &ListenSocket) -> io::Result<()> {
        self.admin = Some((address.clone(), socket.try_clone()?));
        Ok(())
    }

    /// Sends all to the other end.
    pub(super) fn send(&self, channel: &Channel) -> io::Result<()> {
        for (address, socket) in &self.clients {
            channel.send(&Message::Client(address.clone(), socket.try_clone()?))?;
        }
        if let Some((address, socket)) = &self.admin {
            channel.send(&Message::Admin(address.clone(), socket.try_clone()?))?;
        }
        channel.send(&Message::All)
    }
}
