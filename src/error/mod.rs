//! Everything that can fail, on which side, and what the client is told: one table.
//!
//! The OpenAI SDKs choose their exception by status alone (400 `BadRequestError`, 401
//! `AuthenticationError`, 403 `PermissionDeniedError`, 404 `NotFoundError`, 409 `ConflictError`, 422
//! `UnprocessableEntityError`, 429 `RateLimitError`, 500 and above `InternalServerError`, anything
//! else `APIStatusError`) and retry 408, 409, 429 and 5xx of themselves. The table therefore sets
//! `x-should-retry: false` only where a second try cannot help, and `retry-after` on our own 503s.

mod respond;
mod table;
#[cfg(test)]
mod tests;

use std::error::Error as StdError;
use std::fmt;

/// A failure with its cause. `Display` prints this level only; `source()` has the rest.
#[derive(Debug)]
pub struct Error {
    side: Side,
    kind: Kind,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

/// Who failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Side {
    /// Between the client and us.
    Client,
    /// Between us and the upstream.
    Upstream,
    /// We ourselves.
    Proxy,
}

/// What the failure counts as at the end of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Blame {
    /// The upstream failed, before or after its head.
    Upstream,
    /// The client left.
    Client,
    /// A deadline passed, on either side.
    Timeout,
    /// We would not take the request.
    Refused,
}

/// Every failure of the proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// No route has this path.
    NoRoute,
    /// A web page asks whose origin is neither ours nor in `allowed_origins`.
    ForeignOrigin,
    /// A listener on loopback was asked by a name that is neither loopback's nor in `allowed_hosts`.
    ForeignHost,
    /// CONNECT and TRACE: a tunnel is not offered, and TRACE would echo our key to the client.
    MethodRefused,
    /// The request's head has more bytes than `limits.header_bytes`.
    HeadTooLarge,
    /// The request's head has more lines than `limits.headers`.
    TooManyHeaders,
    /// The request's head is larger than the upstream says that it takes.
    UpstreamHeadLimit,
    /// The request's trailers are larger than the upstream says that it takes.
    TrailersTooLarge,
    /// The request's first line is longer than `limits.header_bytes`, or its target than 64 KiB.
    TargetTooLong,
    /// The request is not one that may be forwarded; the text names the fault, and goes to the client.
    BadRequest(&'static str),
    /// The client's head was begun and not finished within `client.head`.
    HeadSlow,
    /// The client's body was silent for `client.body_idle`.
    BodyIdle,
    /// The client sent its body slower than `client.body_rate`.
    BodySlow,
    /// The client closed or reset before its answer was complete.
    ClientGone,
    /// The client took no byte for `client.write_stall`.
    ClientWriteStall,
    /// The client's HTTP/2 connection was ended for frames without end that carry no request.
    ControlFlood,
    /// The client's HTTP/2 connection was ended since it gave up request after request.
    CancelFlood,
    /// The client took nothing, and memory was short.
    ClientMemory,
    /// The time that the client gave itself is over.
    ClientDeadline,
    /// `limits.streams` requests are in flight.
    Busy,
    /// `limits.streams` requests of this route are in flight.
    RouteBusy,
    /// `limits.streams` requests to this upstream are in flight.
    UpstreamBusy,
    /// `limits.connections` connections, or as many as there are descriptors for, are open.
    TooManyConnections,
    /// Memory is near `limits.memory`.
    MemoryShort,
    /// Every upstream of the group is ejected, and the operator wants requests told so.
    AllEjected,
    /// The proxy is shutting down.
    Draining,
    /// `pool.queue` requests already wait for a stream.
    PoolQueueFull,
    /// No stream became free within `pool.queue_timeout`.
    PoolQueueTimeout,
    /// Out of file descriptors, ports or memory for a connection.
    LocalLimit,
    /// TCP, TLS and SETTINGS took longer than `deadlines.connect`.
    ConnectTimeout,
    /// The upstream's address refused, reset or could not be reached.
    ConnectRefused,
    /// The upstream's name did not resolve.
    Dns,
    /// The TLS handshake failed; the certificate may not be trusted.
    Tls,
    /// HTTP could not be started on the connection.
    UpstreamHandshake,
    /// No answer head within `deadlines.response_head`.
    HeadTimeout,
    /// No frame of the answer's body within `deadlines.first_frame` of its head.
    FirstFrameTimeout,
    /// The answer's body was silent for `deadlines.frame_gap`.
    GapTimeout,
    /// The upstream reset the request before its head.
    UpstreamReset,
    /// The upstream's connection ended before the head.
    UpstreamClosed,
    /// The upstream ended its connection with an error before the head, and the request may be why.
    UpstreamGoaway,
    /// The upstream's answer breaks HTTP.
    UpstreamProtocol,
    /// The upstream sends interim responses (1xx) and no final one.
    UpstreamInterim,
    /// A head or the trailers of the upstream's answer are more than `limits.response_header_bytes` or
    /// `limits.response_headers`.
    AnswerHeadTooLarge,
    /// The upstream failed after its head.
    UpstreamCut,
    /// A fault of the proxy's own.
    Internal,
}

impl Error {
    /// A failure without a further cause.
    pub fn new(kind: Kind) -> Self {
        Self { side: kind.side(), kind, source: None }
    }

    /// A failure and what caused it. The cause goes to logs, never to the client.
    pub fn with(kind: Kind, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self { side: kind.side(), kind, source: Some(source.into()) }
    }

    /// What failed.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Who failed.
    pub fn side(&self) -> Side {
        self.side
    }
}

impl From<Kind> for Error {
    fn from(kind: Kind) -> Self {
        Self::new(kind)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind.message())
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|s| s as &(dyn StdError + 'static))
    }
}
