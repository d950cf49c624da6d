//! A socket that listens: TCP or Unix.

use std::io;
use std::net::TcpListener;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixListener;

use crate::config::ListenAddress;

/// A socket that listens, of either family; not yet of a runtime.
#[derive(Debug)]
pub enum ListenSocket {
    /// From anywhere.
    Tcp(TcpListener),
    /// From this machine.
    Unix(UnixListener),
}

impl ListenSocket {
    /// One that was opened elsewhere, of the address's family.
    pub fn from_fd(address: &ListenAddress, fd: OwnedFd) -> Self {
        match address {
            ListenAddress::Ip(_) => Self::Tcp(fd.into()),
            ListenAddress::Unix(_) => Self::Unix(fd.into()),
        }
    }

    /// Where it is, as the kernel knows it: with the port that it chose.
    ///
    /// # Errors
    /// It is no socket of its family, or a Unix socket without a path.
    pub fn address(&self) -> io::Result<ListenAddress> {
        match self {
            Self::Tcp(socket) => socket.local_addr().map(ListenAddress::Ip),
            Self::Unix(socket) => {
                let path = socket.local_addr()?.as_pathname().map(ToOwned::to_owned);
                path.map(ListenAddress::Unix).ok_or_else(|| io::ErrorKind::AddrNotAvailable.into())
            }
        }
    }

    /// A second descriptor of the same queue.
    ///
    /// # Errors
    /// There is no descriptor left.
    pub fn try_clone(&self) -> io::Result<Self> {
        Ok(match self {
            Self::Tcp(socket) => Self::Tcp(socket.try_clone()?),
            Self::Unix(socket) => Self::Unix(socket.try_clone()?),
        })
    }

    /// As a runtime needs it.
    ///
    /// # Errors
    /// The kernel's.
    pub fn set_nonblocking(&self) -> io::Result<()> {
        match self {
            Self::Tcp(socket) => socket.set_nonblocking(true),
            Self::Unix(socket) => socket.set_nonblocking(true),
        }
    }
}

impl From<TcpListener> for ListenSocket {
    fn from(socket: TcpListener) -> Self {
        Self::Tcp(socket)
    }
}

impl AsFd for ListenSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(socket) => socket.as_fd(),
            Self::Unix(socket) => socket.as_fd(),
        }
    }
}
