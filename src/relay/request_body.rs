//! A request's body, from a client of either protocol.

use std::error::Error as StdError;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming};

use crate::http1;

/// A request's body as it comes.
pub enum RequestBody {
    /// From an HTTP/1.1 connection of our own.
    Http1(http1::Body),
    /// From an HTTP/2 stream of hyper's.
    Http2(Incoming),
}

type Failure = Box<dyn StdError + Send + Sync>;

impl RequestBody {
    pub(super) fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Failure>>> {
        match self {
            Self::Http1(body) => body.poll_frame(cx).map_err(Into::into),
            Self::Http2(body) => Pin::new(body).poll_frame(cx).map_err(Into::into),
        }
    }

    pub(super) fn is_end_stream(&self) -> bool {
        match self {
            Self::Http1(body) => body.is_end_stream(),
            Self::Http2(body) => body.is_end_stream(),
        }
    }
}
