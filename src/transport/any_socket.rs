//! A socket at either end of the path: TCP, or a Unix socket of the same machine.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use tokio::net::{TcpStream, UnixStream};

use super::delegate::{delegate_read, delegate_write};
use super::socket::{tune, tune_client};

/// Both read and write alike; one type, so that what lies above is compiled once.
#[derive(Debug)]
pub enum AnySocket {
    /// TCP.
    Tcp(TcpStream),
    /// A Unix stream socket.
    Unix(UnixStream),
}

/// One that is of no runtime, on its way to another thread.
pub enum ParkedSocket {
    /// See [`AnySocket::Tcp`].
    Tcp(std::net::TcpStream),
    /// See [`AnySocket::Unix`].
    Unix(std::os::unix::net::UnixStream),
}

impl AnySocket {
    /// Sets what every client's socket has; with `stall`, also what keeps the kernel's patience behind ours.
    /// A Unix socket needs none of it: nothing is delayed on it, and a peer that is gone is seen at once.
    ///
    /// # Errors
    /// The kernel's refusal: the client left already.
    pub fn tune(&self, stall: Option<Duration>) -> io::Result<()> {
        let Self::Tcp(tcp) = self else { return Ok(()) };
        tune(tcp)?;
        stall.map_or(Ok(()), |stall| tune_client(tcp, stall))
    }

    /// Takes it out of this thread's runtime.
    ///
    /// # Errors
    /// The runtime's.
    pub fn park(self) -> io::Result<ParkedSocket> {
        Ok(match self {
            Self::Tcp(io) => ParkedSocket::Tcp(io.into_std()?),
            Self::Unix(io) => ParkedSocket::Unix(io.into_std()?),
        })
    }

    /// Puts it into this thread's runtime.
    ///
    /// # Errors
    /// The runtime's.
    pub fn unpark(parked: ParkedSocket) -> io::Result<Self> {
        Ok(match parked {
            ParkedSocket::Tcp(io) => Self::Tcp(TcpStream::from_std(io)?),
            ParkedSocket::Unix(io) => Self::Unix(UnixStream::from_std(io)?),
        })
    }
}

impl AsFd for AnySocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(io) => io.as_fd(),
            Self::Unix(io) => io.as_fd(),
        }
    }
}

delegate_read!(AnySocket: Tcp, Unix);
delegate_write!(AnySocket: Tcp, Unix);
