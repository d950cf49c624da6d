//! The socket below both protocols.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use rustix::net::{RecvFlags, recv};
use tokio::io::{AsyncRead, AsyncWrite as _, ReadBuf};
use tokio_rustls::client::TlsStream;

use crate::error::Cause;
use crate::transport::{AnySocket, Stamped, Wire, delegate_write};

/// A socket that speaks clear or TLS; one type, so that the protocols above are compiled once.
pub(super) enum UpstreamSocket {
    Clear(Stamped<AnySocket>),
    Tls(Box<TlsStream<Stamped<AnySocket>>>),
}

/// What the kernel has for us of a connection on which nobody asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unread {
    /// Nothing that concerns HTTP.
    Nothing,
    /// Bytes that nobody asked for, or the end.
    Something,
}

impl UpstreamSocket {
    /// A look at the kernel's buffer, without taking anything out of it. The runtime learns of an end only when it
    /// looks at all sockets again, which on a busy worker is too late for whoever writes now.
    pub(super) fn unread(&self) -> Unread {
        let mut first = [0; RECORD];
        let (socket, is_tls) = match self {
            Self::Clear(io) => (io.get_ref(), false),
            Self::Tls(io) => (io.get_ref().0.get_ref(), true),
        };
        match recv(socket, &mut first, RecvFlags::PEEK | RecvFlags::DONTWAIT) {
            Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => Unread::Nothing,
            Ok((length, _)) if is_tls && length > 0 && !closes(&first[..length]) => Unread::Nothing,
            Ok(_) | Err(_) => Unread::Something,
        }
    }

    fn wire(&self) -> &Wire {
        match self {
            Self::Clear(io) => io.wire(),
            Self::Tls(tls) => tls.get_ref().0.wire(),
        }
    }

    /// Says the end in TLS's own words, if the kernel takes them: the socket closes either way.
    pub(super) fn take_leave(&mut self) {
        if let Self::Tls(tls) = self {
            let mut cx = Context::from_waker(std::task::Waker::noop());
            let _best_effort = Pin::new(tls.as_mut()).poll_shutdown(&mut cx);
        }
    }
}

/// The length of a TLS record's head (RFC 8446, section 5.1).
const RECORD: usize = 5;

/// Whether a TLS record says that its sender closes: an alert, in clear or as TLS 1.3 hides it among application
/// data (two bytes, their type, and 16 bytes of tag). Session tickets and the like are longer, and are for TLS to
/// read.
fn closes(record: &[u8]) -> bool {
    matches!(record, [21, ..] | [23, _, _, 0, 19])
}

impl AsyncRead for UpstreamSocket {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let socket = self.get_mut();
        let read = match socket {
            Self::Clear(io) => Pin::new(io).poll_read(cx, buf),
            Self::Tls(tls) => Pin::new(tls.as_mut()).poll_read(cx, buf),
        };
        if let Poll::Ready(Err(error)) = &read {
            socket.wire().failed(Cause::of_closed(error));
        }
        read
    }
}

delegate_write!(UpstreamSocket: Clear, Tls);

#[cfg(test)]
mod tests {
    use std::io::Write;

    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    #[tokio::test]
    async fn an_end_and_what_nobody_asked_for_are_seen_without_being_read() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        for word in [&b""[..], b"HTTP/1.1 408"] {
            let near = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
            let far = listener.accept().await.unwrap().0.into_std().unwrap();
            let socket = UpstreamSocket::Clear(Stamped::new(
                AnySocket::Tcp(near),
                std::time::Instant::now(),
            ));
            assert_eq!(socket.unread(), Unread::Nothing);
            (&far).write_all(word).unwrap();
            let far = (!word.is_empty()).then_some(far);
            // Over loopback it is there when the other side's call returns.
            assert_eq!(socket.unread(), Unread::Something, "{word:?}");
            assert_eq!(socket.unread(), Unread::Something, "it stays");
            drop(far);
        }
    }

    #[test]
    fn a_record_that_closes_is_told_from_a_session_ticket() {
        assert!(closes(&[21, 3, 3, 0, 2]) && closes(&[21]));
        assert!(closes(&[23, 3, 3, 0, 19]));
        assert!(!closes(&[23, 3, 3, 0, 234]) && !closes(&[23, 3, 3]));
        assert!(!closes(&[22, 3, 3, 0, 19]));
    }
}
