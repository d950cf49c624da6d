//! A socket at either end of the path: TCP, or a Unix socket of the same machine.

use std::io::{self, IoSlice};
use std::os::fd::{AsFd, BorrowedFd};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

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

macro_rules! either {
    ($self:ident, $io:ident => $call:expr) => {
        match $self.get_mut() {
            AnySocket::Tcp($io) => $call,
            AnySocket::Unix($io) => $call,
        }
    };
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

impl AsyncRead for AnySocket {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        either!(self, io => Pin::new(io).poll_read(cx, buf))
    }
}

impl AsyncWrite for AnySocket {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        either!(self, io => Pin::new(io).poll_write(cx, buf))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        either!(self, io => Pin::new(io).poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Tcp(io) => io.is_write_vectored(),
            Self::Unix(io) => io.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self, io => Pin::new(io).poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self, io => Pin::new(io).poll_shutdown(cx))
    }
}
