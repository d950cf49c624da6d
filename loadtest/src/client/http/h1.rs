//! The HTTP/1.1 exchange, by hand over the socket: each read is stamped when it returns, and what
//! the peer does to the framing is seen as it is.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io::{self, Write as _};
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

use http::header::{CONTENT_LENGTH, HOST};
use http::uri::Authority;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::io::Io;
use crate::client::clock::Mono;
use crate::client::outcome::{Failure, FailureKind};
use crate::client::pace::Pacer;
use crate::client::progress::{Progress, Watch};
use crate::client::reply::Reply;
use crate::client::request::Request;
use crate::client::stamped::KernelStamp;

/// What one read takes at most, in bytes: a saturated stream is read in few calls.
const READ_SIZE: usize = 128 * 1024;
/// Bodies up to this many bytes leave in one write with their head.
const INLINE_BODY: usize = 16 * 1024;

thread_local! {
    /// One buffer for all connections of a thread: what a read brings is used up before the poll
    /// returns, so ten thousand idle streams hold no buffer each.
    static SCRATCH: RefCell<Vec<u8>> = RefCell::new(vec![0; READ_SIZE]);
}

/// An HTTP/1.1 connection.
#[derive(Debug)]
pub struct H1 {
    io: Io,
    stamp: KernelStamp,
    host: String,
    /// The request's head, and its body where that is small.
    out: Vec<u8>,
    reusable: bool,
}

impl H1 {
    pub(in crate::client) fn new(io: Io, authority: &Authority, stamp: KernelStamp) -> Self {
        Self { io, stamp, host: authority.to_string(), out: Vec::new(), reusable: true }
    }

    /// Whether the last answer left it reusable and the peer has neither closed nor spoken since.
    pub(in crate::client) fn is_open(&mut self) -> bool {
        if !self.reusable {
            return false;
        }
        let mut byte = [0];
        let mut context = Context::from_waker(Waker::noop());
        Pin::new(&mut self.io).poll_read(&mut context, &mut ReadBuf::new(&mut byte)).is_pending()
    }

    pub(in crate::client) async fn exchange<W: Watch>(
        &mut self,
        request: &Request,
        pacer: &mut Pacer,
        progress: &mut Progress<'_, W>,
    ) -> Result<(), Failure> {
        // Until the answer is complete, a drop here leaves the connection unusable.
        self.reusable = false;
        let inline = encode(request, &self.host, &mut self.out);
        let rest = if inline { &[][..] } else { &request.body[..] };
        let mut reply = Reply::to(&request.method);
        let (mut written, total) = (0, self.out.len() + rest.len());
        let mut flushed = false;
        poll_fn(|cx| {
            // A peer may answer before it has read all: writing must not stand in reading's way.
            while written < total {
                let part = self
                    .out
                    .get(written..)
                    .filter(|head| !head.is_empty())
                    .unwrap_or_else(|| &rest[written - self.out.len()..]);
                match Pin::new(&mut self.io).poll_write(cx, part) {
                    Poll::Ready(Ok(0)) => {
                        return Poll::Ready(Err(broken(
                            progress,
                            "the connection accepted no bytes",
                        )));
                    }
                    Poll::Ready(Ok(count)) => written += count,
                    // The peer may have answered and closed; what it said is still to be read.
                    Poll::Ready(Err(_)) => written = total,
                    Poll::Pending => break,
                }
            }
            if written == total
                && !flushed
                && let Poll::Ready(result) = Pin::new(&mut self.io).poll_flush(cx)
            {
                flushed = true;
                if result.is_ok() {
                    progress.sent(Mono::now());
                }
            }
            let from = (&mut self.io, &self.stamp);
            read(from, pacer, cx, &mut reply, progress)
        })
        .await?;
        self.reusable = reply.is_reusable() && flushed;
        Ok(())
    }
}

/// Reads until the socket has no more, the pace allows no more or the answer is complete.
fn read<W: Watch>(
    (io, stamp): (&mut Io, &KernelStamp),
    pacer: &mut Pacer,
    cx: &mut Context<'_>,
    reply: &mut Reply,
    progress: &mut Progress<'_, W>,
) -> Poll<Result<(), Failure>> {
    SCRATCH.with_borrow_mut(|scratch| {
        while !reply.is_done() {
            let most = ready!(pacer.poll_read(cx)).min(READ_SIZE);
            let mut buffer = ReadBuf::new(&mut scratch[..most]);
            match Pin::new(&mut *io).poll_read(cx, &mut buffer) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(broken(progress, &error))),
                Poll::Ready(Ok(())) if buffer.filled().is_empty() => {
                    return Poll::Ready(reply.closed());
                }
                Poll::Ready(Ok(())) => {
                    let now = Mono::now();
                    pacer.took(buffer.filled().len());
                    progress.woke(now, stamp);
                    reply.feed(now, buffer.filled(), progress)?;
                }
            }
        }
        Poll::Ready(Ok(()))
    })
}

fn broken<W: Watch>(progress: &Progress<'_, W>, why: &(impl ToString + ?Sized)) -> Failure {
    let kind = if progress.has_head() { FailureKind::Reset } else { FailureKind::NoHead };
    Failure::new(kind, why)
}

/// Writes the request's head, and its body where small, into `out`; says whether the body is in.
fn encode(request: &Request, host: &str, out: &mut Vec<u8>) -> bool {
    out.clear();
    let inline = request.body.len() <= INLINE_BODY;
    // Writing into a Vec cannot fail.
    let _: io::Result<()> = (|| {
        write!(out, "{} {} HTTP/1.1\r\n", request.method, request.path)?;
        if !request.headers.contains_key(HOST) {
            write!(out, "host: {host}\r\n")?;
        }
        for (name, value) in &request.headers {
            out.extend_from_slice(name.as_str().as_bytes());
            out.extend_from_slice(b": ");
            out.extend_from_slice(value.as_bytes());
            out.extend_from_slice(b"\r\n");
        }
        let known = request.headers.contains_key(CONTENT_LENGTH);
        if !known && (!request.body.is_empty() || request.method == http::Method::POST) {
            write!(out, "content-length: {}\r\n", request.body.len())?;
        }
        out.extend_from_slice(b"\r\n");
        Ok(())
    })();
    if inline {
        out.extend_from_slice(&request.body);
    }
    inline
}
