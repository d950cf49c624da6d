//! What can be wrong with an upstream's answer.

use std::fmt;

use crate::error::Cause;

/// Why an answer is refused, or was not whole. Strict where two readers could differ: what follows would be read
/// as another request's answer (RFC 9112, section 11.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fault {
    /// The connection ended before the first byte of a head.
    ClosedBeforeHead,
    /// The connection ended inside a head.
    ClosedInHead,
    /// The connection ended before the body did.
    ClosedInBody,
    /// A line of the head ends without CR.
    BareLf,
    /// What came is no HTTP at all: TLS, HTTP/2's frames, a greeting of another protocol.
    NotHttp,
    /// The first line is no status line of HTTP/1.0 or HTTP/1.1.
    StatusLine,
    /// A line of the head is no header: a name or a value with an invalid character, a folded line.
    HeaderLine,
    /// More lines than are taken.
    TooManyHeaders,
    /// A head of more bytes than are taken.
    HeadTooLarge,
    /// `content-length` is no number, or two different ones.
    Length,
    /// Both a `content-length` and a `transfer-encoding`.
    TwoFramings,
    /// A `transfer-encoding` other than `chunked` alone.
    TransferCoding,
    /// The chunked coding is not valid, its trailers included.
    Chunk,
    /// Trailers of more bytes than are taken.
    TrailersTooLarge,
}

impl Fault {
    /// More than is taken, and nothing else.
    pub fn is_too_large(self) -> bool {
        matches!(self, Self::TooManyHeaders | Self::HeadTooLarge | Self::TrailersTooLarge)
    }

    /// The same, unless the answer's first bytes show that HTTP is not spoken there at all.
    #[must_use]
    pub fn after(self, begun: &[u8]) -> Self {
        const NAME: &[u8] = b"HTTP/";
        let about_the_line = matches!(self, Self::ClosedInHead | Self::BareLf | Self::StatusLine);
        let begun = begun.trim_ascii_start();
        let is_http = begun.iter().zip(NAME).all(|(one, other)| one == other);
        if about_the_line && !is_http { Self::NotHttp } else { self }
    }

    /// The word for it.
    pub fn cause(self) -> Cause {
        match self {
            Self::ClosedBeforeHead | Self::ClosedInHead => Cause::Closed,
            Self::ClosedInBody => Cause::Truncated,
            Self::NotHttp => Cause::NotHttp1,
            Self::BareLf | Self::StatusLine | Self::HeaderLine => Cause::InvalidHead,
            Self::TooManyHeaders => Cause::TooManyHeaders,
            Self::HeadTooLarge | Self::TrailersTooLarge => Cause::HeadTooLarge,
            Self::Length | Self::TwoFramings => Cause::InvalidLength,
            Self::TransferCoding => Cause::TransferCoding,
            Self::Chunk => Cause::InvalidBody,
        }
    }

    /// The connection ended too early.
    pub fn is_closed(self) -> bool {
        matches!(self, Self::ClosedBeforeHead | Self::ClosedInHead | Self::ClosedInBody)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ClosedBeforeHead => "the connection ended before the response",
            Self::ClosedInHead => "the connection ended inside the response head",
            Self::ClosedInBody => "the connection ended before the end of the response body",
            Self::BareLf => "a line of the response head ends without CR",
            Self::NotHttp => "what came is not HTTP",
            Self::StatusLine => "the response has no valid status line",
            Self::HeaderLine => "a line of the response head is not a valid header",
            Self::TooManyHeaders => "the response head has too many lines",
            Self::HeadTooLarge => "the response head is too large",
            Self::Length => "the response's Content-Length is not a single number",
            Self::TwoFramings => "the response has both a Content-Length and a Transfer-Encoding",
            Self::TransferCoding => {
                "the response's Transfer-Encoding is not chunked and nothing else"
            }
            Self::Chunk => "the response body's chunked encoding is not valid",
            Self::TrailersTooLarge => "the response trailers are too large",
        })
    }
}

impl std::error::Error for Fault {}
