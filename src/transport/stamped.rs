//! A socket that stamps what it reads and writes, and notices peers that stopped reading or left.

use std::cell::{Cell, RefCell};
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

use super::turn::{BYTES, Turn};
use super::wire::Wire;

/// Bytes that may be read ahead of the protocol layer while a request is in flight. One pipelined
/// request fits; a client that sends more is no longer watched for leaving until we read again.
const READ_AHEAD: usize = 16 * 1024;

/// Bytes that one read asks for: a request with a long prompt comes in few.
const READ: usize = 16 * 1024;

/// A stream with its [`Wire`]. Clones share the socket: one is given to the protocol layer, one
/// stays with whoever watches the connection.
pub struct Stamped<S>(Rc<End<S>>);

struct End<S> {
    stream: RefCell<S>,
    wire: Rc<Wire>,
    ahead: RefCell<BytesMut>,
    /// In this poll of its task the protocol layer read and found nothing: its waker is
    /// registered, and it will see the end of the stream by itself.
    reader_waits: Cell<bool>,
    /// Bytes read in this turn, whichever protocol reads them.
    turn: Turn,
    stall_after: Option<Duration>,
    stall: RefCell<Option<Pin<Box<Sleep>>>>,
}

impl<S> Clone for Stamped<S> {
    fn clone(&self) -> Self {
        Self(Rc::clone(&self.0))
    }
}

impl<S> Stamped<S> {
    /// Wraps `stream`; with `stall_after`, a write that makes no progress for that long fails
    /// with [`io::ErrorKind::TimedOut`].
    pub fn new(stream: S, now: Instant, stall_after: Option<Duration>) -> Self {
        Self(Rc::new(End {
            stream: RefCell::new(stream),
            wire: Rc::new(Wire::new(now)),
            ahead: RefCell::default(),
            reader_waits: Cell::new(false),
            turn: Turn::default(),
            stall_after,
            stall: RefCell::default(),
        }))
    }

    /// What is known of the socket.
    pub fn wire(&self) -> &Rc<Wire> {
        &self.0.wire
    }

    /// A poll of the connection's task begins: whether the protocol layer reads is not known yet.
    pub fn begin_poll(&self) {
        self.0.reader_waits.set(false);
    }

    /// Bytes read ahead of the protocol layer.
    pub fn ahead(&self) -> std::cell::Ref<'_, BytesMut> {
        self.0.ahead.borrow()
    }

    /// Lets `take` have some of the bytes that were read ahead. No room is kept once all are gone.
    pub fn take_ahead<T>(&self, take: impl FnOnce(&mut BytesMut) -> T) -> T {
        let mut ahead = self.0.ahead.borrow_mut();
        let taken = take(&mut ahead);
        if ahead.is_empty() {
            *ahead = BytesMut::new();
        }
        taken
    }
}

/// What a look past the protocol layer's own reading showed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    /// Still there; the task is woken when that changes.
    There,
    /// Bytes came ahead of need; they are kept for the protocol layer.
    Sent,
    /// Closed its side or broke the connection.
    Left,
}

impl<S: AsyncRead + Unpin> Stamped<S> {
    /// Watches for the peer leaving while the protocol layer does not read, as after a pipelined
    /// byte. Reads ahead a bounded amount, since the end of a stream stands behind its bytes.
    pub fn poll_peer(&self, cx: &mut Context<'_>) -> Peer {
        if self.0.reader_waits.get() {
            return Peer::There;
        }
        let mut sent = false;
        loop {
            let room = READ_AHEAD.saturating_sub(self.0.ahead.borrow().len());
            if room == 0 {
                return if sent { Peer::Sent } else { Peer::There };
            }
            match self.poll_read_ahead(cx, room) {
                Poll::Pending => return if sent { Peer::Sent } else { Peer::There },
                Poll::Ready(Ok(0) | Err(_)) => return Peer::Left,
                Poll::Ready(Ok(_)) => sent = true,
            }
        }
    }

    /// Reads ahead for a protocol layer that waits for more; 0 is the end of the stream.
    pub fn poll_more(&self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let read = self.poll_read_ahead(cx, usize::MAX);
        self.0.reader_waits.set(read.is_pending());
        read
    }

    /// Reads at most `room` bytes into the buffer that the protocol layer will be served from.
    pub fn poll_read_ahead(&self, cx: &mut Context<'_>, room: usize) -> Poll<io::Result<usize>> {
        // Read here and copied: a connection that waits keeps no room for what may come.
        let mut chunk = [const { MaybeUninit::uninit() }; READ];
        let end = room.min(chunk.len());
        let mut buf = ReadBuf::uninit(&mut chunk[..end]);
        ready!(self.read_stream(cx, &mut buf))?;
        self.0.ahead.borrow_mut().extend_from_slice(buf.filled());
        Poll::Ready(Ok(buf.filled().len()))
    }

    fn read_stream(&self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = |cx: &mut Context<'_>| {
            ready!(Pin::new(&mut *self.0.stream.borrow_mut()).poll_read(cx, buf))
                .inspect_err(|error| self.failed(error))?;
            Poll::Ready(io::Result::Ok(buf.filled().len() - before))
        };
        let cost = |read: &io::Result<usize>| read.as_ref().map_or(0, |got| *got as u32);
        let got = ready!(self.0.turn.poll(cx, BYTES, read, cost))?;
        if got > 0 {
            self.0.wire.read(Instant::now(), got);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S> Stamped<S> {
    /// The kernel gives up a peer whose window stays shut (`TCP_USER_TIMEOUT`), and may do so before
    /// our own deadline: it is the same stall, and whoever reads or writes next finds it.
    fn failed(&self, error: &io::Error) {
        if error.kind() == io::ErrorKind::TimedOut {
            self.0.wire.stall();
        }
    }
}

impl<S: AsyncWrite + Unpin> Stamped<S> {
    fn written(
        &self,
        cx: &mut Context<'_>,
        wrote: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        match wrote {
            Poll::Ready(Ok(n)) => {
                self.0.wire.wrote(Instant::now());
                if self.0.stall_after.is_some() && self.0.stall.borrow().is_some() {
                    *self.0.stall.borrow_mut() = None;
                }
                Poll::Ready(Ok(n))
            }
            Poll::Pending => {
                self.0.wire.full();
                self.poll_stall(cx)
            }
            Poll::Ready(Err(error)) => {
                self.failed(&error);
                Poll::Ready(Err(error))
            }
        }
    }

    fn poll_stall(&self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let Some(after) = self.0.stall_after else { return Poll::Pending };
        let mut stall = self.0.stall.borrow_mut();
        let sleep = stall.get_or_insert_with(|| Box::pin(tokio::time::sleep(after)));
        ready!(sleep.as_mut().poll(cx));
        self.0.wire.stall();
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client takes no bytes")))
    }
}

impl Stamped<tokio::net::TcpStream> {
    /// While this is on, a close of this socket is a reset, so that the peer cannot take it for an orderly end.
    pub fn abort_on_close(&self, on: bool) {
        super::abort_on_close(&*self.0.stream.borrow(), on);
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Stamped<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut ahead = self.0.ahead.borrow_mut();
        if !ahead.is_empty() {
            let n = ahead.len().min(buf.remaining());
            buf.put_slice(&ahead[..n]);
            ahead.advance(n);
            if ahead.is_empty() {
                *ahead = BytesMut::new();
            }
            return Poll::Ready(Ok(()));
        }
        drop(ahead);
        let read = self.read_stream(cx, buf);
        self.0.reader_waits.set(read.is_pending());
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Stamped<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let wrote = Pin::new(&mut *self.0.stream.borrow_mut()).poll_write(cx, buf);
        self.written(cx, wrote)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let wrote = Pin::new(&mut *self.0.stream.borrow_mut()).poll_write_vectored(cx, bufs);
        self.written(cx, wrote)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.stream.borrow().is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut *self.0.stream.borrow_mut()).poll_flush(cx))?;
        self.0.wire.flushed();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0.stream.borrow_mut()).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A socket that the kernel has given up.
    struct GivenUp(io::ErrorKind);

    impl AsyncRead for GivenUp {
        fn poll_read(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
            _: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            Poll::Ready(Err(self.0.into()))
        }
    }

    impl AsyncWrite for GivenUp {
        fn poll_write(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
            _: &[u8],
        ) -> Poll<io::Result<usize>> {
            Poll::Ready(Err(self.0.into()))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    #[test]
    fn a_peer_that_the_kernel_gave_up_has_stalled_and_one_that_left_has_not() {
        let mut cx = Context::from_waker(std::task::Waker::noop());
        for (kind, stalled) in
            [(io::ErrorKind::TimedOut, true), (io::ErrorKind::ConnectionReset, false)]
        {
            let socket = || Stamped::new(GivenUp(kind), Instant::now(), None);
            let read = socket();
            assert_eq!(read.poll_peer(&mut cx), Peer::Left);
            assert_eq!(read.wire().stalled(), stalled);
            let mut written = socket();
            assert!(Pin::new(&mut written).poll_write(&mut cx, b"x").is_ready());
            assert_eq!(written.wire().stalled(), stalled);
        }
    }
}
