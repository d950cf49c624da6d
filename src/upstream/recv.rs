//! An answer's body, whichever protocol carries it.

use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use super::pool::lease::Lease;
use super::stream::head_size::HeadSize;
use super::stream::{Broken, Chunk, ResponseBody};
use crate::error::Error;
use crate::record::Oversize;
use crate::transport::Turn;

/// What is read at most of an answer that is passed over: more than any error's text.
const PASSED_OVER: usize = 64 * 1024;

/// And for how long at most: it takes a stream of the pool meanwhile.
const PASSED_OVER_WITHIN: Duration = Duration::from_secs(1);

/// An answer's body with the right to its stream. Dropped before the end, the stream is reset (or
/// the HTTP/1.1 connection closed) at once.
pub struct RecvBody {
    body: ResponseBody,
    lease: Lease,
    data_ended: bool,
    /// Of HTTP/1.1, whose parser reads on for whoever asks. HTTP/2's frames were counted as bytes when the
    /// connection's task read them.
    turn: Turn,
    /// What [`RecvBody::poll_begun`] read ahead. Boxed: nearly no answer has it.
    ahead: Option<Box<Chunk>>,
}

impl RecvBody {
    /// Joins a body with the lease it came by.
    pub fn new(body: ResponseBody, lease: Lease) -> Self {
        let body = Self { body, lease, data_ended: false, turn: Turn::default(), ahead: None };
        body.has_ended();
        body
    }

    /// Everything was read, trailers included. Known before [`RecvBody::poll_chunk`] says so, at the
    /// price of one of its polls.
    pub fn is_end(&self) -> bool {
        self.ahead.is_none() && self.has_ended()
    }

    fn has_ended(&self) -> bool {
        let ended = match &self.body {
            ResponseBody::Http2(body) => body.is_end_stream(),
            ResponseBody::Http1(body) => body.is_end(),
        };
        if ended {
            self.lease.finish();
        }
        ended
    }

    /// How HTTP is spoken on the connection.
    pub fn version(&self) -> http::Version {
        self.lease.version()
    }

    /// Reads what is left and forgets it, within bounds, in a task of its own. Dropped instead, an
    /// HTTP/1.1 connection would close for every answer that nobody wants, and a request with it wait
    /// for the next connect.
    pub fn discard(mut self) {
        self.lease.forget_request();
        tokio::task::spawn_local(async move {
            let mut left = PASSED_OVER;
            let rest = std::future::poll_fn(|cx| {
                while left > 0 {
                    match ready!(self.poll_chunk(cx)) {
                        Some(Ok(Chunk::Data(data))) => {
                            left = left.saturating_sub(data.len());
                            self.release(data.len());
                        }
                        Some(Ok(Chunk::Trailers(_))) => {}
                        Some(Err(_)) | None => break,
                    }
                }
                Poll::Ready(())
            });
            let _all_or_not = tokio::time::timeout(PASSED_OVER_WITHIN, rest).await;
        });
    }

    /// Whether a break is the first that is heard of it: a connection that ends breaks all its streams, and
    /// is one failure.
    pub fn is_news(&self, broken: &Broken) -> bool {
        match broken {
            Broken::Http2(error) if !error.is_reset() => self.lease.report_failure_once(),
            _ => true,
        }
    }

    /// The error of an answer that broke off.
    pub fn cut(&self, broken: Broken) -> Error {
        let cause = self.lease.why(&broken);
        broken.into_cut().because(cause)
    }

    /// When the socket gave the bytes read last.
    pub fn read_at(&self) -> Instant {
        self.lease.wire().read_at()
    }

    /// Ready once the next piece is there, which stays to be read, or the end.
    pub fn poll_begun(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Broken>> {
        while self.ahead.is_none() && !self.has_ended() {
            match ready!(self.poll_next(cx)) {
                Some(Ok(Chunk::Data(data))) if data.is_empty() => {}
                Some(Ok(chunk)) => self.ahead = Some(Box::new(chunk)),
                Some(Err(broken)) => return Poll::Ready(Err(broken)),
                None => break,
            }
        }
        Poll::Ready(Ok(()))
    }

    /// The next piece; `None` is the clean end.
    pub fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Chunk, Broken>>> {
        match self.ahead.take() {
            Some(chunk) => Poll::Ready(Some(Ok(*chunk))),
            None => self.poll_next(cx),
        }
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Chunk, Broken>>> {
        let chunk = match &mut self.body {
            ResponseBody::Http2(body) => ready!(poll_http2(body, &mut self.data_ended, cx)),
            ResponseBody::Http1(body) => {
                ready!(self.turn.poll_item(cx, |cx| body.poll_chunk(cx)))
            }
        };
        if matches!(chunk, Some(Ok(Chunk::Data(_)))) {
            Poll::Ready(chunk)
        } else {
            self.last(chunk)
        }
    }

    /// What is no data is the last that comes. Not inlined, so that data pays nothing for it.
    #[inline(never)]
    fn last(
        &mut self,
        chunk: Option<Result<Chunk, Broken>>,
    ) -> Poll<Option<Result<Chunk, Broken>>> {
        let chunk = match chunk {
            Some(Ok(Chunk::Trailers(lines))) => {
                let allowed = self.lease.head_limit().check(HeadSize::of(&lines));
                Some(allowed.map(|()| Chunk::Trailers(lines)))
            }
            chunk => chunk,
        };
        if matches!(chunk, Some(Err(Broken::HeadTooLarge(_)))) {
            self.lease.oversize(Oversize::Answer);
        }
        if matches!(chunk, None | Some(Ok(Chunk::Trailers(_)))) {
            self.lease.finish();
        }
        Poll::Ready(chunk)
    }

    /// Lets the upstream send `len` bytes more: that many were taken off our hands.
    pub fn release(&mut self, len: usize) {
        if let ResponseBody::Http2(body) = &mut self.body {
            // Fails only for more than was received, or on a stream that is gone: then there is no
            // window left to open.
            let _gone = body.flow_control().release_capacity(len);
        }
    }
}

fn poll_http2(
    body: &mut h2::RecvStream,
    data_ended: &mut bool,
    cx: &mut Context<'_>,
) -> Poll<Option<Result<Chunk, Broken>>> {
    if !*data_ended {
        match ready!(body.poll_data(cx)) {
            Some(Ok(data)) => return Poll::Ready(Some(Ok(Chunk::Data(data)))),
            Some(Err(error)) => return Poll::Ready(Some(Err(Broken::Http2(error)))),
            None => *data_ended = true,
        }
    }
    Poll::Ready(match ready!(body.poll_trailers(cx)) {
        Ok(Some(trailers)) => Some(Ok(Chunk::Trailers(trailers))),
        Ok(None) => None,
        Err(error) => Some(Err(Broken::Http2(error))),
    })
}
