//! A connection's bytes, whose frames are counted as they pass.

use std::cell::RefCell;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::tally::Tally;
use crate::error::Kind;
use crate::transport::Wire;

/// See the module. A peer that sends more frames without a purpose than it may is not read any further: the
/// read fails, and the [`Wire`] says why.
pub struct Watched<T> {
    io: T,
    /// Of the same socket; it knows when the last byte came.
    wire: Rc<Wire>,
    tally: Rc<RefCell<Tally>>,
}

impl<T> Watched<T> {
    /// `wire` is the socket's under `io`.
    pub fn new(io: T, wire: Rc<Wire>, tally: Rc<RefCell<Tally>>) -> Self {
        Self { io, wire, tally }
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Watched<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.tally.borrow_mut().ends_turn() {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let before = buf.filled().len();
        let read = Pin::new(&mut self.io).poll_read(cx, buf);
        let mut tally = self.tally.borrow_mut();
        if read.is_pending() {
            tally.rests();
        }
        ready!(read)?;
        let may = tally.came(&buf.filled()[before..], self.wire.read_at());
        self.wire.shut(tally.is_shut(), self.wire.read_at());
        if may {
            return Poll::Ready(Ok(()));
        }
        self.wire.end_by(Kind::ControlFlood);
        Poll::Ready(Err(io::Error::other("the peer sends too many control frames")))
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Watched<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let wrote = ready!(Pin::new(&mut self.io).poll_write(cx, buf))?;
        let mut tally = self.tally.borrow_mut();
        tally.went(&buf[..wrote]);
        self.wire.shut(tally.is_shut(), self.wire.written_at());
        drop(tally);
        Poll::Ready(Ok(wrote))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let wrote = ready!(Pin::new(&mut self.io).poll_write_vectored(cx, bufs))?;
        let (mut tally, mut left) = (self.tally.borrow_mut(), wrote);
        for buf in bufs {
            let part = left.min(buf.len());
            tally.went(&buf[..part]);
            left -= part;
            if left == 0 {
                break;
            }
        }
        self.wire.shut(tally.is_shut(), self.wire.written_at());
        drop(tally);
        Poll::Ready(Ok(wrote))
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
