//! A request's body, from a client of either protocol.

use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming};

use crate::error::{Error, Kind};
use crate::proto::http1;
use crate::transport::Wire;

const MALFORMED: Kind = Kind::BadRequest("The request body's chunked encoding is not valid.");

/// A request's body as it comes.
pub enum RequestBody {
    /// From an HTTP/1.1 connection of our own.
    Http1(http1::Body),
    /// From an HTTP/2 stream of hyper's, on a connection with this socket.
    Http2(Incoming, Rc<Wire>),
    /// All of it was read before.
    Read,
    /// What a test makes up: each frame, or that there is none yet.
    #[cfg(test)]
    Scripted(std::collections::VecDeque<Poll<Bytes>>),
}

impl RequestBody {
    pub(super) fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        match self {
            Self::Http1(body) => {
                body.poll_frame(cx).map_err(|error| Error::with(kind(&error), error))
            }
            Self::Http2(body, _) => {
                Pin::new(body).poll_frame(cx).map_err(|error| Error::with(Kind::ClientGone, error))
            }
            Self::Read => Poll::Ready(None),
            #[cfg(test)]
            Self::Scripted(frames) => match frames.pop_front() {
                Some(frame) => frame.map(|data| Some(Ok(Frame::data(data)))),
                None => Poll::Ready(None),
            },
        }
    }

    /// Trailers may come after it.
    pub(super) fn may_trail(&self) -> bool {
        match self {
            Self::Http1(body) => body.may_trail(),
            Self::Http2(body, _) => !body.is_end_stream(),
            Self::Read => false,
            #[cfg(test)]
            Self::Scripted(_) => false,
        }
    }

    /// For how long its sender was not allowed to send, in all: other bodies of the same connection, that their
    /// upstreams did not take, had filled what it may send.
    pub(super) fn hindered(&self) -> Duration {
        match self {
            Self::Http2(_, wire) => wire.shut_for(),
            Self::Http1(_) | Self::Read => Duration::ZERO,
            #[cfg(test)]
            Self::Scripted(_) => Duration::ZERO,
        }
    }

    pub(super) fn is_end_stream(&self) -> bool {
        match self {
            Self::Http1(body) => body.is_end_stream(),
            Self::Http2(body, _) => body.is_end_stream(),
            Self::Read => true,
            #[cfg(test)]
            Self::Scripted(frames) => frames.is_empty(),
        }
    }
}

fn kind(error: &io::Error) -> Kind {
    match error.kind() {
        io::ErrorKind::InvalidData => MALFORMED,
        _ => Kind::ClientGone,
    }
}
