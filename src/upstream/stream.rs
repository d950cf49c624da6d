//! One request's stream to an upstream, whichever protocol carries it.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, Response};
use hyper::body::{Body, Incoming};

use super::http1::SlotWriter;
use super::lease::Lease;

/// What is read at most of an answer that is passed over: more than any error's text.
const PASSED_OVER: usize = 64 * 1024;

/// And for how long at most: it takes a stream of the pool meanwhile.
const PASSED_OVER_WITHIN: Duration = Duration::from_secs(1);

/// Why a stream broke, as the protocol tells it.
#[derive(Debug)]
pub enum Broken {
    /// Nothing of the request was written: it can go elsewhere.
    Unsent(Box<dyn std::error::Error + Send + Sync>),
    /// HTTP/2: a reset, a GOAWAY, or the connection's end.
    Http2(h2::Error),
    /// HTTP/1.1: the connection's end or an answer that breaks the protocol.
    Http1(hyper::Error),
}

/// A request under way: where its body goes, where its answer comes from, and the right to both.
pub struct Stream {
    /// Takes the request's body.
    pub sink: Sink,
    /// Gives the answer's head.
    pub answering: Answering,
    /// Given back when dropped.
    pub lease: Lease,
}

/// Where a request's body goes. Dropped before the end, it breaks the request.
pub enum Sink {
    /// The request has no body, or all of it was given.
    Closed,
    /// An HTTP/2 stream's sending half; `fresh` until its first chunk.
    Http2 {
        /// The sending half.
        stream: h2::SendStream<Bytes>,
        /// Nothing was sent on it yet.
        fresh: bool,
    },
    /// The one-chunk slot that an HTTP/1.1 connection reads the body from.
    Http1(SlotWriter),
}

/// A first chunk up to this size is given to HTTP/2 without asking for window first: it is less
/// than the smallest initial window (RFC 9113, section 6.9.2), and asking costs a turn.
const FRESH_CHUNK: usize = 16 * 1024;

impl Sink {
    /// Ready when [`Sink::send`] may be given a chunk of `len` bytes; the answer is how many bytes
    /// of it may be given now.
    pub fn poll_ready(&mut self, cx: &mut Context<'_>, len: usize) -> Poll<Result<usize, Broken>> {
        match self {
            Self::Closed => Poll::Ready(Ok(0)),
            Self::Http1(slot) => slot.poll_ready(cx).map(|()| Ok(len)),
            Self::Http2 { fresh: true, .. } if len <= FRESH_CHUNK => Poll::Ready(Ok(len)),
            Self::Http2 { stream, .. } => {
                stream.reserve_capacity(len);
                loop {
                    if stream.capacity() > 0 {
                        return Poll::Ready(Ok(stream.capacity().min(len)));
                    }
                    match ready!(stream.poll_capacity(cx)) {
                        Some(Ok(_)) => {}
                        Some(Err(error)) => return Poll::Ready(Err(Broken::Http2(error))),
                        // The upstream ended the stream; whether that is an answer or a failure
                        // is for the answering half to say.
                        None => {
                            *self = Self::Closed;
                            return Poll::Ready(Ok(0));
                        }
                    }
                }
            }
        }
    }

    /// Gives a chunk, and with `end` the end of the body.
    pub fn send(&mut self, chunk: Bytes, end: bool) -> Result<(), Broken> {
        match self {
            Self::Closed => {}
            Self::Http1(slot) => slot.put(chunk, end),
            Self::Http2 { stream, fresh } => {
                *fresh = false;
                stream.send_data(chunk, end).map_err(Broken::Http2)?;
            }
        }
        if end {
            *self = Self::Closed;
        }
        Ok(())
    }

    /// Nothing of the body is left to give, or nobody takes it.
    pub fn is_closed(&self) -> bool {
        matches!(self, Self::Closed)
    }

    /// Ends the body with trailers.
    pub fn trailers(&mut self, trailers: HeaderMap) -> Result<(), Broken> {
        match std::mem::replace(self, Self::Closed) {
            Self::Closed => Ok(()),
            Self::Http1(slot) => {
                slot.trailers(trailers);
                Ok(())
            }
            Self::Http2 { mut stream, .. } => stream.send_trailers(trailers).map_err(Broken::Http2),
        }
    }
}

/// The answer's head, to come.
pub enum Answering {
    /// HTTP/2.
    Http2(h2::client::ResponseFuture),
    /// HTTP/1.1.
    Http1(super::http1::Answering),
}

/// The answer's body, to come.
pub enum Incomplete {
    /// HTTP/2.
    Http2(h2::RecvStream),
    /// HTTP/1.1.
    Http1(Incoming),
}

impl Answering {
    /// Ready with the final head (an interim 1xx is passed over) and the rest to come.
    pub fn poll_head(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(http::response::Parts, Incomplete), Broken>> {
        match self {
            Self::Http2(future) => {
                let answer: Response<h2::RecvStream> =
                    ready!(Pin::new(future).poll(cx)).map_err(Broken::Http2)?;
                let (parts, body) = answer.into_parts();
                Poll::Ready(Ok((parts, Incomplete::Http2(body))))
            }
            Self::Http1(future) => {
                let answer = ready!(future.as_mut().poll(cx)).map_err(|mut error| {
                    if error.take_message().is_some() {
                        Broken::Unsent(error.into_error().into())
                    } else {
                        Broken::Http1(error.into_error())
                    }
                })?;
                let (parts, body) = answer.into_parts();
                Poll::Ready(Ok((parts, Incomplete::Http1(body))))
            }
        }
    }
}

/// A piece of an answer's body.
pub enum Chunk {
    /// Bytes; with HTTP/2 their window is still to be released.
    Data(Bytes),
    /// The last thing to come.
    Trailers(HeaderMap),
}

/// An answer's body with the right to its stream. Dropped before the end, the stream is reset (or
/// the HTTP/1.1 connection closed) at once.
pub struct Source {
    body: Incomplete,
    lease: Lease,
    data_ended: bool,
}

impl Source {
    /// Joins a body with the lease it came by. `sent`: nothing of the request is left to send.
    pub fn new(body: Incomplete, lease: Lease, sent: bool) -> Self {
        let ended = match &body {
            Incomplete::Http2(body) => body.is_end_stream(),
            Incomplete::Http1(body) => body.is_end_stream(),
        };
        if ended {
            lease.finish();
        } else if sent && let Some(io) = lease.http1_io() {
            io.take_in_hand();
        }
        Self { body, lease, data_ended: false }
    }

    /// Everything was read, trailers included.
    pub fn is_end(&self) -> bool {
        match &self.body {
            Incomplete::Http2(body) => body.is_end_stream(),
            Incomplete::Http1(body) => body.is_end_stream(),
        }
    }

    /// How HTTP is spoken on the connection.
    pub fn version(&self) -> http::Version {
        self.lease.version()
    }

    /// Reads what is left and forgets it, within bounds, in a task of its own. Dropped instead, an
    /// HTTP/1.1 connection would close for every answer that nobody wants, and a request with it wait
    /// for the next connect.
    pub fn pass_over(mut self) {
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

    /// When the socket gave the bytes read last.
    pub fn read_at(&self) -> Instant {
        self.lease.wire().read_at()
    }

    /// The next piece; `None` is the clean end.
    pub fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Chunk, Broken>>> {
        let chunk = match &mut self.body {
            Incomplete::Http2(body) => ready!(poll_http2(body, &mut self.data_ended, cx)),
            Incomplete::Http1(body) => ready!(poll_http1(body, &self.lease, cx)),
        };
        if !matches!(chunk, Some(Err(_))) && (chunk.is_none() || self.is_end()) {
            self.lease.finish();
        }
        Poll::Ready(chunk)
    }

    /// Lets the upstream send `len` bytes more: that many were taken off our hands.
    pub fn release(&mut self, len: usize) {
        if let Incomplete::Http2(body) = &mut self.body {
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

fn poll_http1(
    body: &mut Incoming,
    lease: &Lease,
    cx: &mut Context<'_>,
) -> Poll<Option<Result<Chunk, Broken>>> {
    loop {
        let mut frame = Pin::new(&mut *body).poll_frame(cx);
        if frame.is_pending()
            && let Some(io) = lease.http1_io()
        {
            io.poll_in_hand(cx);
            frame = Pin::new(&mut *body).poll_frame(cx);
        }
        return Poll::Ready(match ready!(frame) {
            None => None,
            Some(Err(error)) => Some(Err(Broken::Http1(error))),
            Some(Ok(frame)) => match frame.into_data() {
                Ok(data) => Some(Ok(Chunk::Data(data))),
                Err(frame) => match frame.into_trailers() {
                    Ok(trailers) => Some(Ok(Chunk::Trailers(trailers))),
                    Err(_unknown) => continue,
                },
            },
        });
    }
}
