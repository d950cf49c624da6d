//! A client's bytes: as they come from the socket, or out of TLS.

use std::os::fd::{AsFd, BorrowedFd};

use tokio_rustls::server::TlsStream;

use super::any_socket::AnySocket;
use super::delegate::{delegate_read, delegate_write};
use super::write_stall::WriteStall;

/// A client's stream with stamps and a write-stall deadline, in clear or with TLS over both.
pub enum ClientStream {
    /// In clear.
    Clear(WriteStall<AnySocket>),
    /// Boxed: nearly all of it is buffers and keys, and a connection in clear has no room for them.
    Tls(Box<TlsStream<WriteStall<AnySocket>>>),
}

impl AsFd for ClientStream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Clear(io) => io.as_fd(),
            Self::Tls(io) => io.get_ref().0.as_fd(),
        }
    }
}

delegate_read!(ClientStream: Clear, Tls);
delegate_write!(ClientStream: Clear, Tls);
