//! What became of a request: its stamps, what was counted, and how it failed if it did.

use http::HeaderMap;

use super::clock::Mono;
use super::dial_error::DialError;

/// The moments of one request, on `CLOCK_MONOTONIC`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Stamps {
    /// When it should have started; every latency counts from here.
    pub due: Mono,
    /// When the client took it up: `started - due` is the generator's own lag.
    pub started: Mono,
    /// A connection was opened for this request; `None` if one was there.
    pub connected: Option<Mono>,
    /// The request's last byte was handed to the kernel (HTTP/1.1) or to the connection (HTTP/2).
    pub sent: Option<Mono>,
    /// The final answer's head (not a 1xx) was read.
    pub head: Option<Mono>,
    /// The first body byte was read.
    pub first_body: Option<Mono>,
    /// The first SSE event was complete.
    pub first_event: Option<Mono>,
    /// The first event with generated text in it was complete.
    pub first_content: Option<Mono>,
    /// The last event with generated text in it was complete.
    pub last_content: Option<Mono>,
    /// The answer was complete, or had failed.
    pub end: Mono,
    /// The stamped mock upstream read the request's head.
    pub mock_received: Option<Mono>,
    /// The stamped mock upstream sent its first frame.
    pub mock_sent: Option<Mono>,
}

/// Whether the body's bytes are those the mock upstream hashed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Check {
    /// Not asked for, or the stream carried no digest.
    #[default]
    Unchecked,
    /// Every byte before the digest is as it was sent.
    Same,
    /// Some byte differs.
    Different,
}

/// The kind of a failure; each is counted apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FailureKind {
    /// No connection: name, TCP, TLS or the HTTP/2 preface failed.
    Connect,
    /// The connection ended before a head came.
    NoHead,
    /// Not complete within the time allowed.
    Timeout,
    /// An answer outside 2xx.
    Status,
    /// Broken off after the head: reset, or ended before its framing said so.
    Reset,
    /// The peer broke the protocol.
    Protocol,
    /// The stream itself reported an error event.
    ErrorEvent,
    /// The stream ended cleanly without `[DONE]` (or `response.completed`).
    NoDone,
    /// The bytes differ from those the mock upstream sent.
    Mismatch,
}

impl FailureKind {
    /// Every kind, in the order of reports.
    pub const ALL: [Self; 9] = [
        Self::Connect,
        Self::NoHead,
        Self::Timeout,
        Self::Status,
        Self::Reset,
        Self::Protocol,
        Self::ErrorEvent,
        Self::NoDone,
        Self::Mismatch,
    ];

    /// The name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::NoHead => "no_head",
            Self::Timeout => "timeout",
            Self::Status => "status",
            Self::Reset => "reset_mid_stream",
            Self::Protocol => "protocol",
            Self::ErrorEvent => "error_event",
            Self::NoDone => "no_done",
            Self::Mismatch => "byte_mismatch",
        }
    }
}

/// Why a request failed.
#[derive(Clone, Debug)]
pub struct Failure {
    /// What is counted.
    pub kind: FailureKind,
    /// For people.
    pub detail: String,
}

impl Failure {
    /// A failure of `kind`, explained.
    pub fn new(kind: FailureKind, detail: &(impl ToString + ?Sized)) -> Self {
        Self { kind, detail: detail.to_string() }
    }
}

/// What became of one request.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// When things happened.
    pub stamps: Stamps,
    /// The final status, once there was one.
    pub status: Option<u16>,
    /// The answer's headers.
    pub headers: HeaderMap,
    /// Trailers, where the answer had some (HTTP/2 only).
    pub trailers: Option<HeaderMap>,
    /// Body bytes received, framing taken off.
    pub bytes: u64,
    /// SHA-256 of the body, if hashing was asked for.
    pub sha256: Option<[u8; 32]>,
    /// SSE events received, comments not counted, `[DONE]` counted.
    pub events: u64,
    /// Events that carried generated text.
    pub contents: u64,
    /// Tokens generated according to the answer's `usage`, if it told.
    pub usage_tokens: Option<u64>,
    /// Read slowly on purpose: what it took says nothing of the target.
    pub slow: bool,
    /// Whether the stream's own end was seen: `[DONE]` or `response.completed`.
    pub done: bool,
    /// The verdict on the bytes.
    pub check: Check,
    /// Why it failed, if it did.
    pub failure: Option<Failure>,
}

impl Outcome {
    /// The outcome of a request for which no connection could be had.
    pub fn unconnected(due: Mono, started: Mono, error: &DialError) -> Self {
        Self {
            stamps: Stamps { due, started, end: Mono::now(), ..Stamps::default() },
            failure: Some(Failure::new(FailureKind::Connect, error)),
            ..Self::default()
        }
    }

    /// Whether nothing failed.
    pub fn ok(&self) -> bool {
        self.failure.is_none()
    }

    /// The failure's kind, if any.
    pub fn failed(&self) -> Option<FailureKind> {
        self.failure.as_ref().map(|failure| failure.kind)
    }

    /// Whether the request found a connection open.
    pub fn warm(&self) -> bool {
        self.stamps.connected.is_none() && self.failed() != Some(FailureKind::Connect)
    }

    /// Time to first byte in nanoseconds: from due to the answer's head.
    pub fn ttfb(&self) -> Option<u64> {
        self.stamps.head.map(|head| head.since(self.stamps.due))
    }
}
