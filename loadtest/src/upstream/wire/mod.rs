//! One accepted socket, in clear or under TLS, that a script may break in every way a peer can break it.

pub(in crate::upstream) mod refused_streams;

use std::cell::{Cell, RefCell};
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

use refused_streams::RefusedStreams;

/// How a socket is ended under the feet of whoever still reads from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cut {
    /// An orderly end of the transport (under TLS with `close_notify`), in the middle of the answer.
    Fin,
    /// TCP RST (`SO_LINGER` of zero): what the peer has not read yet is lost.
    Rst,
    /// A part of a frame (HTTP/2) or of a chunk (HTTP/1.1), then FIN.
    MidFrame,
    /// Under TLS: FIN without `close_notify` (RFC 8446, section 6.1). In clear the same as `Fin`.
    NoCloseNotify,
}

/// The bytes' way to the peer.
pub(in crate::upstream) enum Transport {
    Clear(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Transport {
    pub(in crate::upstream) fn tcp(&self) -> &TcpStream {
        match self {
            Self::Clear(tcp) => tcp,
            Self::Tls(tls) => tls.get_ref().0,
        }
    }
}

/// A shared handle to one socket. HTTP code reads and writes through it as through any stream, while a script
/// may inject bytes or cut it. Belongs to one thread.
#[derive(Clone)]
pub(in crate::upstream) struct Wire {
    shared: Rc<Shared>,
}

struct Shared {
    /// Gone once the socket has ended; reading and writing then fail.
    transport: RefCell<Option<Transport>>,
    cut: Cell<bool>,
    /// What to do at the next moment when no frame is half written.
    pending: RefCell<Option<AtBoundary>>,
    /// Of the task that drives the connection.
    driver: Cell<Option<Waker>>,
    watch: RefCell<Option<RefusedStreams>>,
}

struct AtBoundary {
    bytes: Bytes,
    cut: Option<Cut>,
}

/// How long a socket that was ended by FIN keeps reading, so that unread bytes do not turn the FIN into a RST.
const LINGER: Duration = Duration::from_secs(1);

impl Wire {
    /// `refused_streams` sees every byte that HTTP writes.
    pub(in crate::upstream) fn new(transport: Transport, watch: Option<RefusedStreams>) -> Self {
        let shared = Shared {
            transport: RefCell::new(Some(transport)),
            cut: Cell::new(false),
            pending: RefCell::new(None),
            driver: Cell::new(None),
            watch: RefCell::new(watch),
        };
        Self { shared: Rc::new(shared) }
    }

    /// Ends the socket now, whatever is half written.
    pub(in crate::upstream) fn cut(&self, how: Cut) {
        self.shared.cut.set(true);
        self.end(how);
        self.wake_driver();
    }

    /// Ends the socket after its connection has ended by itself.
    pub(in crate::upstream) fn close(&self) {
        self.end(Cut::Fin);
    }

    fn end(&self, how: Cut) {
        if let Some(transport) = self.shared.transport.borrow_mut().take() {
            end(transport, how);
        }
    }

    /// Whether a script, or a test from outside, ended the socket.
    pub(in crate::upstream) fn is_cut(&self) -> bool {
        self.shared.cut.get()
    }

    /// Puts `bytes` on the wire between two frames, as soon as all earlier frames have left, and then cuts if
    /// `cut` says so. Only for HTTP/2, whose driver flushes; a second call before the first took effect adds
    /// its bytes behind.
    pub(in crate::upstream) fn at_boundary(&self, bytes: Bytes, cut: Option<Cut>) {
        let mut pending = self.shared.pending.borrow_mut();
        let bytes = match pending.take() {
            Some(earlier) => [earlier.bytes, bytes].concat().into(),
            None => bytes,
        };
        *pending = Some(AtBoundary { bytes, cut });
        drop(pending);
        self.wake_driver();
    }

    fn wake_driver(&self) {
        if let Some(waker) = self.shared.driver.take() {
            waker.wake();
        }
    }

    fn with<T>(
        &self,
        act: impl FnOnce(Pin<&mut (dyn Duplex + '_)>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        match self.shared.transport.borrow_mut().as_mut() {
            Some(Transport::Clear(tcp)) => act(Pin::new(tcp)),
            Some(Transport::Tls(tls)) => act(Pin::new(tls.as_mut())),
            None => Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into())),
        }
    }

    /// Called when every frame has been written. Returns an error once the socket has been cut.
    fn poll_pending(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            let Some(mut pending) = self.shared.pending.borrow_mut().take() else {
                return Poll::Ready(Ok(()));
            };
            while pending.bytes.has_remaining() {
                match self.with(|io| io.poll_write(cx, &pending.bytes)) {
                    Poll::Ready(written) => pending.bytes.advance(written?),
                    Poll::Pending => {
                        *self.shared.pending.borrow_mut() = Some(pending);
                        return Poll::Pending;
                    }
                }
            }
            ready!(self.with(|io| io.poll_flush(cx)))?;
            if let Some(how) = pending.cut {
                self.cut(how);
                return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
            }
        }
    }
}

trait Duplex: AsyncRead + AsyncWrite + Unpin {}
impl<T: AsyncRead + AsyncWrite + Unpin> Duplex for T {}

/// Ends `transport`; for the kinds that end in FIN a task keeps reading for up to [`LINGER`].
fn end(transport: Transport, how: Cut) {
    if how == Cut::Rst {
        // If the option cannot be set, the drop below is a plain close: still a cut.
        let _ = socket2::SockRef::from(transport.tcp()).set_linger(Some(Duration::ZERO));
        return;
    }
    tokio::task::spawn_local(async move {
        let mut tcp = match transport {
            Transport::Clear(tcp) => tcp,
            Transport::Tls(mut tls) => {
                if how != Cut::NoCloseNotify {
                    let _ = tls.shutdown().await;
                }
                tls.into_inner().0
            }
        };
        let _ = tcp.shutdown().await;
        let mut scrap = [0; 4096];
        let drain = async { while matches!(tcp.read(&mut scrap).await, Ok(1..)) {} };
        let _ = tokio::time::timeout(LINGER, drain).await;
    });
}

impl AsyncRead for Wire {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.shared.driver.set(Some(cx.waker().clone()));
        self.with(|io| io.poll_read(cx, buf))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let len = ready!(self.with(|io| io.poll_write(cx, buf)))?;
        if let Some(watch) = self.shared.watch.borrow_mut().as_mut() {
            watch.written(&buf[..len]);
        }
        Poll::Ready(Ok(len))
    }

    /// HTTP/2 flushes only when every frame is wholly written: that is the boundary scripts wait for.
    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.with(|io| io.poll_flush(cx)))?;
        self.poll_pending(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.shared.transport.borrow().is_none() {
            return Poll::Ready(Ok(()));
        }
        self.with(|io| io.poll_shutdown(cx))
    }
}
