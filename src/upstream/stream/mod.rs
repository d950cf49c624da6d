//! The two halves of one request's stream to an upstream, whichever protocol carries it.

mod broken;
mod failure;
pub(in crate::upstream) mod greeting;
pub(in crate::upstream) mod head_scan;
pub(in crate::upstream) mod head_size;
pub(in crate::upstream) mod http1;
pub(in crate::upstream) mod http2;
mod huffman;
pub(in crate::upstream) mod marks;
pub(in crate::upstream) mod parcel;
pub(in crate::upstream) mod read_after_reset;
mod underscores;

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode};

use crate::admit::Share;
use head_scan::HeadScan;
use head_size::{HeadLimit, HeadSize};
use http1::{Event, Sink};
use parcel::Parcel;

pub use broken::Broken;
pub use failure::Failure;

/// Where a request's body goes. Dropped before the end, it breaks the request.
#[allow(private_interfaces, reason = "what h2 is given is made here")]
pub enum SendBody {
    /// The request has no body, or all of it was given.
    Closed,
    /// An HTTP/2 stream's sending half; `fresh` until its first chunk.
    Http2 {
        /// The sending half.
        stream: h2::SendStream<Parcel>,
        /// Nothing was sent on it yet.
        fresh: bool,
        /// The largest head, and so the largest trailers, that the peer says it takes. `None` where others
        /// share the connection who must not lose it to trailers: they are left out.
        takes: Option<usize>,
    },
    /// An HTTP/1.1 connection's sending half. It stays until all has left for the kernel.
    Http1(Sink),
}

/// Interim responses (RFC 9110, section 15.2) that a request takes before its final one, or an upstream could go on
/// with them for as long as its head may take. A server that says each ten seconds that it still works (102) says it
/// as often in a quarter of an hour; 100 (Continue) and 103 (Early Hints) are said once.
const MOST_INTERIMS: u8 = 100;

/// A first chunk up to this size is given to HTTP/2 without asking for window first: it is less
/// than the smallest initial window (RFC 9113, section 6.9.2), and asking costs a turn.
const FRESH_CHUNK: usize = 16 * 1024;

impl SendBody {
    /// Ready when [`SendBody::send`] may be given a chunk of `len` bytes; the answer is how many bytes
    /// of it may be given now.
    pub fn poll_ready(&mut self, cx: &mut Context<'_>, len: usize) -> Poll<Result<usize, Broken>> {
        match self {
            Self::Closed => Poll::Ready(Ok(0)),
            Self::Http1(sink) => sink.poll_ready(cx).map(|()| Ok(len)),
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

    /// Gives a chunk, and with `end` the end of the body. `share` counts it for as long as it is not written.
    pub fn send(
        &mut self,
        chunk: Bytes,
        end: bool,
        share: Option<&Rc<Share>>,
    ) -> Result<(), Broken> {
        match self {
            Self::Closed => {}
            Self::Http1(sink) => {
                sink.put(chunk, end, share);
                return Ok(());
            }
            Self::Http2 { stream, fresh, .. } => {
                *fresh = false;
                stream.send_data(Parcel::new(chunk, share), end).map_err(Broken::Http2)?;
            }
        }
        if end {
            *self = Self::Closed;
        }
        Ok(())
    }

    /// Nothing is left to give. What was given may still be to leave, which [`SendBody::poll_flush`] sees to.
    pub fn is_ended(&self) -> bool {
        match self {
            Self::Http1(sink) => sink.is_ended(),
            Self::Closed => true,
            Self::Http2 { .. } => false,
        }
    }

    /// Writes what was given, where no task of the connection does. Ready when all of it has left for the kernel;
    /// after the body's end it is closed then.
    pub fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Self::Http1(sink) = self {
            ready!(sink.poll_flush(cx));
            if sink.is_ended() {
                *self = Self::Closed;
            }
        }
        Poll::Ready(())
    }

    /// Nothing of the body is left to give, or nobody takes it.
    pub fn is_closed(&self) -> bool {
        matches!(self, Self::Closed)
    }

    /// Whether the peer says that it takes these trailers.
    pub fn takes(&self, trailers: &HeaderMap) -> bool {
        match self {
            Self::Http2 { takes: Some(takes), .. } => HeadSize::of(trailers).bytes <= *takes,
            Self::Http2 { takes: None, .. } | Self::Http1(_) | Self::Closed => true,
        }
    }

    /// Ends the body with trailers, which may be left out (RFC 9110, section 6.5.1). Toward HTTP/1.1 they are: few
    /// servers read them, and some end the connection over them.
    pub fn trailers(&mut self, trailers: HeaderMap) -> Result<(), Broken> {
        if let Self::Http1(sink) = self {
            sink.put(Bytes::new(), true, None);
            return Ok(());
        }
        match std::mem::replace(self, Self::Closed) {
            Self::Closed | Self::Http1(_) => Ok(()),
            Self::Http2 { mut stream, takes, .. } => match takes {
                Some(_) => stream.send_trailers(trailers).map_err(Broken::Http2),
                None => {
                    stream.send_data(Parcel::new(Bytes::new(), None), true).map_err(Broken::Http2)
                }
            },
        }
    }
}

/// The answer's head, to come.
#[allow(private_interfaces, reason = "what HTTP/1.1 reads from is made here")]
pub enum ResponseFuture {
    /// HTTP/2.
    Http2 {
        /// The head.
        response: h2::client::ResponseFuture,
        /// Interim responses so far.
        interims: u8,
    },
    /// HTTP/1.1.
    Http1 {
        /// The head.
        response: http1::ResponseFuture,
        /// Interim responses so far.
        interims: u8,
    },
}

/// The answer's body, to come.
#[allow(private_interfaces, reason = "what HTTP/1.1 reads from is made here")]
pub enum ResponseBody {
    /// HTTP/2.
    Http2(h2::RecvStream),
    /// HTTP/1.1.
    Http1(http1::ResponseBody),
}

impl ResponseFuture {
    /// Ready with the final head, what its lines are, and the rest to come. Neither may be more than `limit` allows.
    /// Interim ones (1xx) go to `pass` as they come.
    pub fn poll_head(
        &mut self,
        cx: &mut Context<'_>,
        limit: HeadLimit,
        pass: &mut dyn FnMut(Response<()>),
    ) -> Poll<Result<(http::response::Parts, HeadScan, ResponseBody), Broken>> {
        let (head, body) = ready!(self.poll_any(cx, limit, pass))?;
        let scan = HeadScan::of_answer(&head.headers);
        Poll::Ready(limit.check(scan.size).map(|()| (head, scan, body)))
    }

    fn poll_any(
        &mut self,
        cx: &mut Context<'_>,
        limit: HeadLimit,
        pass: &mut dyn FnMut(Response<()>),
    ) -> Poll<Result<(http::response::Parts, ResponseBody), Broken>> {
        match self {
            Self::Http2 { response, interims } => {
                // Asked for one by one, they are counted; the head's own future passes over all at once.
                while let Some(head) = ready!(response.poll_informational(cx)) {
                    let head = head.map_err(Broken::Http2)?;
                    limit.check(HeadSize::of(head.headers()))?;
                    if *interims == MOST_INTERIMS {
                        return Poll::Ready(Err(Broken::Interims));
                    }
                    *interims += 1;
                    if head.status() == StatusCode::SWITCHING_PROTOCOLS {
                        return Poll::Ready(Err(Broken::Switched));
                    }
                    pass(head);
                }
                let answer: Response<h2::RecvStream> =
                    ready!(Pin::new(response).poll(cx)).map_err(Broken::Http2)?;
                let (parts, body) = answer.into_parts();
                Poll::Ready(Ok((parts, ResponseBody::Http2(body))))
            }
            Self::Http1 { response, interims } => loop {
                match ready!(response.poll_event(cx, limit))? {
                    Event::Head(parts, body) => {
                        return Poll::Ready(Ok((parts, ResponseBody::Http1(body))));
                    }
                    Event::Interim(head) => {
                        limit.check(HeadSize::of(&head.headers))?;
                        if *interims == MOST_INTERIMS {
                            return Poll::Ready(Err(Broken::Interims));
                        }
                        *interims += 1;
                        pass(Response::from_parts(head, ()));
                    }
                }
            },
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
