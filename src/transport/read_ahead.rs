//! Reading ahead of the protocol layer, and noticing a peer that leaves while that one does not read.
//!
//! It lies over TLS: what is read ahead are the bytes that the protocol layer is served from.

use std::cell::{Cell, Ref, RefCell};
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::AsFd;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::socket;

/// Bytes that may be read ahead of the protocol layer while a request is in flight. One pipelined
/// request fits; a client that sends more is no longer watched for leaving until we read again.
const READ_AHEAD: usize = 16 * 1024;

/// Bytes that one read asks for: a request with a long prompt comes in few.
const READ: usize = 16 * 1024;

/// A stream that can be read ahead. Clones share it: one is given to the protocol layer, one stays
/// with whoever watches the connection.
pub struct ReadAhead<S>(Rc<Shared<S>>);

struct Shared<S> {
    stream: RefCell<S>,
    ahead: RefCell<BytesMut>,
    /// In this poll of its task the protocol layer read and found nothing: its waker is
    /// registered, and it will see the end of the stream by itself.
    reader_waits: Cell<bool>,
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

impl<S> Clone for ReadAhead<S> {
    fn clone(&self) -> Self {
        Self(Rc::clone(&self.0))
    }
}

impl<S> ReadAhead<S> {
    /// Wraps a stream of which nothing was read.
    pub fn new(stream: S) -> Self {
        Self::with(stream, BytesMut::new())
    }

    /// The same where these bytes were.
    pub fn with(stream: S, ahead: BytesMut) -> Self {
        Self(Rc::new(Shared {
            stream: RefCell::new(stream),
            ahead: RefCell::new(ahead),
            reader_waits: Cell::new(false),
        }))
    }

    /// A poll of the connection's task begins: whether the protocol layer reads is not known yet.
    pub fn begin_poll(&self) {
        self.0.reader_waits.set(false);
    }

    /// Bytes read ahead of the protocol layer.
    pub fn ahead(&self) -> Ref<'_, BytesMut> {
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

impl<S: AsFd> ReadAhead<S> {
    /// While this is on, a close of the socket is a reset, so that the peer cannot take it for an orderly end.
    pub fn abort_on_close(&self, on: bool) {
        socket::abort_on_close(&*self.0.stream.borrow(), on);
    }
}

impl<S: AsyncRead + Unpin> ReadAhead<S> {
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
        Pin::new(&mut *self.0.stream.borrow_mut()).poll_read(cx, buf)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for ReadAhead<S> {
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

impl<S: AsyncWrite + Unpin> AsyncWrite for ReadAhead<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.0.stream.borrow_mut()).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.0.stream.borrow_mut()).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.stream.borrow().is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0.stream.borrow_mut()).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0.stream.borrow_mut()).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    #[tokio::test]
    async fn what_was_read_ahead_comes_first_and_a_leave_behind_it_is_seen() {
        let (near, mut far) = tokio::io::duplex(64);
        let socket = ReadAhead::new(near);
        let look = || std::future::poll_fn(|cx| Poll::Ready(socket.poll_peer(cx)));
        assert_eq!(look().await, Peer::There);
        far.write_all(b"pipelined").await.unwrap();
        assert_eq!(look().await, Peer::Sent);
        assert_eq!(&socket.ahead()[..], b"pipelined");
        far.write_all(b" and late").await.unwrap();

        let mut reader = socket.clone();
        let mut read = [0; 18];
        reader.read_exact(&mut read).await.unwrap();
        assert_eq!(&read, b"pipelined and late");
        drop(far);
        assert_eq!(look().await, Peer::Left);
    }

    #[tokio::test]
    async fn a_peer_that_sends_more_than_may_be_read_ahead_is_not_read_further() {
        let (near, mut far) = tokio::io::duplex(4 * READ_AHEAD);
        let socket = ReadAhead::new(near);
        far.write_all(&vec![0; 2 * READ_AHEAD]).await.unwrap();
        drop(far);
        let look = || std::future::poll_fn(|cx| Poll::Ready(socket.poll_peer(cx)));
        assert_eq!(look().await, Peer::Sent);
        assert_eq!(look().await, Peer::There, "its end stands behind what it sent");
        assert_eq!(socket.ahead().len(), READ_AHEAD);
    }

    #[tokio::test]
    async fn a_protocol_layer_that_waits_itself_is_not_read_ahead_of() {
        let (near, mut far) = tokio::io::duplex(64);
        let socket = ReadAhead::new(near);
        let waits = std::future::poll_fn(|cx| Poll::Ready(socket.poll_more(cx).is_pending()));
        assert!(waits.await);
        far.write_all(b"for it").await.unwrap();
        let look = || std::future::poll_fn(|cx| Poll::Ready(socket.poll_peer(cx)));
        assert_eq!(look().await, Peer::There);
        assert!(socket.ahead().is_empty());
        socket.begin_poll();
        assert_eq!(look().await, Peer::Sent);
    }
}
