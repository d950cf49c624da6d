//! A socket that remembers when it last read and wrote, tells records when what was handed to the
//! protocol layer has left, and notices peers that stopped reading or left.

use std::cell::{Cell, RefCell};
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};
use std::time::{Duration, Instant};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

use crate::record::{Outcome, Record};

/// Bytes that may be read ahead of the protocol layer while a request is in flight. One pipelined
/// request fits; a client that sends more is no longer watched for leaving until we read again.
const READ_AHEAD: usize = 16 * 1024;

/// What is known of one connection's socket. Shared by everything that lives on the connection;
/// all of one thread.
pub struct Wire {
    read_at: Cell<Instant>,
    written_at: Cell<Instant>,
    bytes_read: Cell<u64>,
    flushes: Cell<u64>,
    handed: RefCell<Vec<Handed>>,
    flush_waiters: RefCell<Vec<Waker>>,
    stalled: Cell<bool>,
}

/// Something given to the protocol layer whose departure a record waits for.
enum Handed {
    RequestHead(Rc<Record>),
    Answer(Rc<Record>),
    Last(Rc<Record>),
    Cancel(Rc<Record>, Instant),
}

impl Wire {
    fn new(now: Instant) -> Self {
        Self {
            read_at: Cell::new(now),
            written_at: Cell::new(now),
            bytes_read: Cell::new(0),
            flushes: Cell::new(0),
            handed: RefCell::default(),
            flush_waiters: RefCell::default(),
            stalled: Cell::new(false),
        }
    }

    /// When the socket last gave bytes.
    pub fn read_at(&self) -> Instant {
        self.read_at.get()
    }

    /// Bytes that the socket has given so far.
    pub fn bytes_read(&self) -> u64 {
        self.bytes_read.get()
    }

    /// How often everything that was handed down had left for the kernel.
    pub fn flushes(&self) -> u64 {
        self.flushes.get()
    }

    /// Whether the connection ended because the peer took no byte for the write-stall deadline.
    pub fn stalled(&self) -> bool {
        self.stalled.get()
    }

    /// A request's head was handed to the protocol layer toward the upstream.
    pub fn handed_request_head(&self, record: &Rc<Record>) {
        self.handed.borrow_mut().push(Handed::RequestHead(Rc::clone(record)));
    }

    /// A stream's reset was handed to the protocol layer toward the upstream.
    pub fn handed_cancel(&self, record: &Rc<Record>, at: Instant) {
        self.handed.borrow_mut().push(Handed::Cancel(Rc::clone(record), at));
    }

    /// A part of an answer was handed to the protocol layer toward the client.
    pub fn handed_answer(&self, record: &Rc<Record>) {
        let mut handed = self.handed.borrow_mut();
        // Frames that leave in one write belong to one mark.
        if !matches!(handed.last(), Some(Handed::Answer(last)) if Rc::ptr_eq(last, record)) {
            handed.push(Handed::Answer(Rc::clone(record)));
        }
    }

    /// The last part of an answer was handed to the protocol layer: once it has left, the request is
    /// complete.
    pub fn handed_last(&self, record: &Rc<Record>) {
        self.handed.borrow_mut().push(Handed::Last(Rc::clone(record)));
    }

    /// Wakes `waker` once everything handed down so far has left for the kernel, or never if the
    /// connection ends first (its task is dropped then).
    pub fn wake_on_flush(&self, waker: &Waker) {
        let mut waiters = self.flush_waiters.borrow_mut();
        if !waiters.iter().any(|known| known.will_wake(waker)) {
            waiters.push(waker.clone());
        }
    }

    fn flushed(&self) {
        self.flushes.set(self.flushes.get() + 1);
        if !self.handed.borrow().is_empty() {
            let at = self.written_at.get();
            // The records are closed outside the borrow: closing one may hand down nothing more,
            // but must not be able to find the list borrowed.
            for handed in self.handed.take() {
                match handed {
                    Handed::RequestHead(record) => record.head_sent(at),
                    Handed::Answer(record) => record.written(at),
                    Handed::Last(record) => {
                        record.written(at);
                        record.end(Outcome::Complete);
                    }
                    Handed::Cancel(record, since) => record.cancelled(at - since),
                }
            }
        }
        if !self.flush_waiters.borrow().is_empty() {
            for waker in self.flush_waiters.take() {
                waker.wake();
            }
        }
    }
}

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

    /// Reads at most `room` bytes into the buffer that the protocol layer will be served from.
    pub fn poll_read_ahead(&self, cx: &mut Context<'_>, room: usize) -> Poll<io::Result<usize>> {
        let mut chunk = [0_u8; 2048];
        let end = room.min(chunk.len());
        let mut buf = ReadBuf::new(&mut chunk[..end]);
        ready!(self.read_stream(cx, &mut buf))?;
        self.0.ahead.borrow_mut().extend_from_slice(buf.filled());
        Poll::Ready(Ok(buf.filled().len()))
    }

    fn read_stream(&self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut *self.0.stream.borrow_mut()).poll_read(cx, buf))?;
        let got = buf.filled().len() - before;
        if got > 0 {
            self.0.wire.read_at.set(Instant::now());
            self.0.wire.bytes_read.set(self.0.wire.bytes_read.get() + got as u64);
        }
        Poll::Ready(Ok(()))
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
                self.0.wire.written_at.set(Instant::now());
                if self.0.stall_after.is_some() && self.0.stall.borrow().is_some() {
                    *self.0.stall.borrow_mut() = None;
                }
                Poll::Ready(Ok(n))
            }
            Poll::Pending => self.poll_stall(cx),
            failed @ Poll::Ready(Err(_)) => failed,
        }
    }

    fn poll_stall(&self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let Some(after) = self.0.stall_after else { return Poll::Pending };
        let mut stall = self.0.stall.borrow_mut();
        let sleep = stall.get_or_insert_with(|| Box::pin(tokio::time::sleep(after)));
        ready!(sleep.as_mut().poll(cx));
        self.0.wire.stalled.set(true);
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client takes no bytes")))
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
