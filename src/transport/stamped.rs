//! A socket that stamps what it reads and writes.
//!
//! It lies directly on the socket, under TLS: the stamps say when bytes came from the kernel and when the
//! kernel took them, not when a layer above understood or prepared them.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::turn::{BYTES, Turn};
use super::wire::Wire;

/// A stream with its [`Wire`].
pub struct Stamped<S> {
    stream: S,
    wire: Rc<Wire>,
    /// Bytes read in this turn, whichever layer reads them.
    turn: Turn,
}

impl<S> Stamped<S> {
    /// Wraps a socket that has neither read nor written yet.
    pub fn new(stream: S, now: Instant) -> Self {
        Self { stream, wire: Rc::new(Wire::new(now)), turn: Turn::default() }
    }

    /// What is known of the socket.
    pub fn wire(&self) -> &Rc<Wire> {
        &self.wire
    }

    /// The socket itself, for its options.
    pub fn get_ref(&self) -> &S {
        &self.stream
    }

    fn written(&self, wrote: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match &wrote {
            Poll::Ready(Ok(_)) => self.wire.wrote(Instant::now()),
            Poll::Pending => self.wire.full(),
            Poll::Ready(Err(_)) => {}
        }
        wrote
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Stamped<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Self { stream, wire, turn } = self.get_mut();
        let before = buf.filled().len();
        let read = |cx: &mut Context<'_>| {
            ready!(Pin::new(stream).poll_read(cx, buf))?;
            Poll::Ready(io::Result::Ok(buf.filled().len() - before))
        };
        let cost = |read: &io::Result<usize>| read.as_ref().map_or(0, |got| *got as u32);
        let got = ready!(turn.poll(cx, BYTES, read, cost))?;
        if got > 0 {
            wire.read(Instant::now(), got);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Stamped<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let wrote = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.written(wrote)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let wrote = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.written(wrote)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
        self.wire.flushed();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    #[tokio::test]
    async fn what_is_read_and_written_is_stamped_where_the_socket_is() {
        let start = Instant::now();
        let (near, mut far) = tokio::io::duplex(4);
        let mut near = Stamped::new(near, start);
        let wire = Rc::clone(near.wire());

        near.write_all(b"ping").await.unwrap();
        assert!(wire.written_at() > start && wire.read_at() == start);
        let mut cx = Context::from_waker(std::task::Waker::noop());
        assert!(Pin::new(&mut near).poll_write(&mut cx, b"x").is_pending());
        assert!(wire.is_full(), "the other side has taken nothing");

        far.write_all(b"pong").await.unwrap();
        near.read_exact(&mut [0; 4]).await.unwrap();
        assert!(wire.read_at() > wire.written_at());
        assert_eq!((wire.bytes_read(), wire.flushes()), (4, 0));
        near.flush().await.unwrap();
        assert_eq!(wire.flushes(), 1);
    }
}
