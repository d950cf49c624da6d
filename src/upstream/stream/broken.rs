//! Why a stream broke.

use crate::error::{Cause, Error, Kind};
use crate::proto::http1::Fault;

/// Why a stream broke, as the protocol tells it.
#[derive(Debug)]
pub enum Broken {
    /// Nothing of the request was written: it can go elsewhere.
    Unsent(Box<dyn std::error::Error + Send + Sync>),
    /// HTTP/2: a reset, a GOAWAY, or the connection's end.
    Http2(h2::Error),
    /// HTTP/1.1: the connection's end, or an answer that breaks the protocol.
    Http1(Fault),
    /// HTTP/1.1: the connection ended with an error.
    Closed(std::io::Error),
    /// The upstream sends more interim responses than a request takes.
    Interims,
    /// The upstream switches protocols (101), which HTTP/2 does not know.
    Switched,
    /// A head or the trailers of the answer are more than is taken; which of the two bounds.
    HeadTooLarge(Cause),
    /// It broke off before, and this was told of it.
    Told(Box<Error>),
}

impl From<Fault> for Broken {
    fn from(fault: Fault) -> Self {
        if fault.is_too_large() { Self::HeadTooLarge(fault.cause()) } else { Self::Http1(fault) }
    }
}

impl Broken {
    /// What the protocol says of why.
    pub fn cause(&self) -> Cause {
        match self {
            Self::Unsent(source) => {
                source.downcast_ref::<h2::Error>().map_or(Cause::Closed, Cause::of_h2)
            }
            Self::Http2(source) => Cause::of_h2(source),
            Self::Http1(fault) => fault.cause(),
            Self::Closed(source) => Cause::of_closed(source),
            Self::Interims => Cause::TooManyInterims,
            Self::Switched => Cause::UpgradeRefused,
            Self::HeadTooLarge(which) => *which,
            Self::Told(error) => error.cause().unwrap_or(Cause::Closed),
        }
    }

    /// The error of a stream that broke after the answer's head.
    pub fn into_cut(self) -> Error {
        let cause = self.cause();
        let error = match self {
            Self::Told(error) => return *error,
            Self::Unsent(source) => Error::with(Kind::UpstreamCut, source),
            Self::Http2(source) => Error::with(Kind::UpstreamCut, source),
            Self::Http1(source) => Error::with(Kind::UpstreamCut, source),
            Self::Closed(source) => Error::with(Kind::UpstreamCut, source),
            Self::Interims => Kind::UpstreamInterim.into(),
            Self::Switched => Kind::UpgradeRefused.into(),
            Self::HeadTooLarge(_) => Kind::AnswerHeadTooLarge.into(),
        };
        error.because(cause)
    }
}
