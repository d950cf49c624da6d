//! A transport that is still read when it cannot be written to any more.
//!
//! An upstream that refuses an upload (401, 413) may answer, close, and reset for what goes on arriving. h2
//! gives a connection up at the first write that fails, though the answer may be here already, unread. The peer
//! no longer reads: what it is not given, it does not miss. So writing goes on into nothing, and reading says how
//! the exchange ended: with the answer, or without one.
//!
//! The same holds for what else is left unread: an upstream that is reloaded says GOAWAY, closes, and resets for
//! the request that arrives then. The GOAWAY is what proves that the request can go elsewhere.
//!
//! A GOAWAY with an error and the end of the connection are often read together, and h2 tells only of the end.
//! So the end is given one turn later: whoever drives the connection sees the GOAWAY first.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::greeting::Greeting;
use crate::transport::Wire;

/// See the module. The connection takes no other request: its [`Wire`] says that writing failed.
pub(in crate::upstream) struct ReadAfterReset<T> {
    io: T,
    wire: Rc<Wire>,
    end: End,
    /// Until both sides have said theirs. Boxed: it lasts for a round trip.
    greeting: Option<Box<Greeting>>,
}

/// How the end is told.
enum End {
    Apart,
    /// It came in the turn before this one.
    Now(io::Result<()>),
    Told,
}

impl<T> ReadAfterReset<T> {
    pub(in crate::upstream) fn new(io: T, wire: Rc<Wire>, greeting: Greeting) -> Self {
        Self { io, wire, end: End::Apart, greeting: Some(Box::new(greeting)) }
    }

    fn taken(&self, wrote: Poll<io::Result<usize>>, all: usize) -> Poll<io::Result<usize>> {
        match wrote {
            Poll::Ready(Err(error)) if is_peers(&error) => {
                self.wire.break_writing();
                Poll::Ready(Ok(all))
            }
            wrote => wrote,
        }
    }

    fn done(&self, done: Poll<io::Result<()>>) -> Poll<io::Result<()>> {
        match done {
            Poll::Ready(Err(error)) if is_peers(&error) => {
                self.wire.break_writing();
                Poll::Ready(Ok(()))
            }
            done => done,
        }
    }
}

/// The peer has closed, or reset.
fn is_peers(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset)
}

impl<T: AsyncRead + Unpin> AsyncRead for ReadAfterReset<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if matches!(self.end, End::Now(_))
            && let End::Now(end) = std::mem::replace(&mut self.end, End::Told)
        {
            return Poll::Ready(end);
        }
        let before = buf.filled().len();
        let read = ready!(Pin::new(&mut self.io).poll_read(cx, buf));
        if matches!(self.end, End::Apart) && (read.is_err() || buf.filled().len() == before) {
            // Nothing new is put on it in the turn between.
            self.wire.break_writing();
            self.end = End::Now(read);
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        if let Some(greeting) = &mut self.greeting {
            greeting.hear(&buf.filled()[before..]);
            if greeting.is_over() {
                self.greeting = None;
            }
        }
        Poll::Ready(read)
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for ReadAfterReset<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let Self { io, greeting, .. } = &mut *self;
        let wrote = match greeting {
            None => Pin::new(io).poll_write(cx, buf),
            Some(greeting) => {
                let wrote = Pin::new(io).poll_write(cx, &greeting.say(buf));
                if let Poll::Ready(Ok(bytes)) = wrote {
                    greeting.wrote(bytes);
                }
                wrote
            }
        };
        self.taken(wrote, buf.len())
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.greeting.is_some() {
            let first = bufs.iter().find(|buf| !buf.is_empty()).map_or(&[][..], |buf| buf);
            return self.poll_write(cx, first);
        }
        let wrote = Pin::new(&mut self.io).poll_write_vectored(cx, bufs);
        self.taken(wrote, bufs.iter().map(|buf| buf.len()).sum())
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.io).poll_flush(cx);
        self.done(flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
