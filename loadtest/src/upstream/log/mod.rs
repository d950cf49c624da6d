//! What the upstream saw, in the order in which it saw it. All times are nanoseconds of CLOCK_MONOTONIC.

pub(in crate::upstream) mod recorder;

use std::net::SocketAddr;

use bytes::Bytes;

/// How much of a request's body the log keeps.
pub const KEPT_BODY: usize = 64 * 1024;
/// How many requests, and how many connections, the log keeps; later ones are only counted.
pub const KEPT_ENTRIES: usize = 65_536;
/// How much body the log keeps over all requests; beyond it only lengths and hashes.
pub const KEPT_BODIES: usize = 64 * 1024 * 1024;

/// Everything seen so far.
#[derive(Clone, Debug, Default)]
pub struct Log {
    /// By order of acceptance: the connection's number is its index.
    pub connections: Vec<ConnectionSeen>,
    /// By order of arrival of the head: the request's `nth` is its index.
    pub requests: Vec<RequestSeen>,
    /// Requests and connections beyond [`KEPT_ENTRIES`].
    pub not_recorded: u64,
    /// Sum of `kept` over all requests.
    pub(super) kept_bodies: usize,
}

/// One connection.
#[derive(Clone, Debug)]
pub struct ConnectionSeen {
    /// Counted from 0.
    pub number: u64,
    /// The other end.
    pub peer: SocketAddr,
    /// When it was accepted.
    pub accepted_ns: u64,
    /// When HTTP began: after the handshake under TLS. None if it failed or has not finished.
    pub ready_ns: Option<u64>,
    /// What was negotiated, such as `h2`; None in clear or when the peer offered nothing.
    pub alpn: Option<String>,
    /// HTTP/2 (true) or HTTP/1.1.
    pub http2: bool,
    /// The largest number of requests in progress at once.
    pub peak_streams: usize,
    /// RST_STREAM(REFUSED_STREAM) frames sent: by a script, or because the peer exceeded the stream limit.
    pub refused: u64,
    /// When it ended.
    pub closed_ns: Option<u64>,
    /// Why it ended.
    pub closed: Option<ConnectionEnd>,
}

/// How a connection ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConnectionEnd {
    /// The peer closed it, or both agreed to.
    Closed,
    /// A script, or the test from outside, cut it.
    Scripted,
    /// The peer sent GOAWAY with this error code (RFC 9113, section 7).
    PeerGoaway {
        /// 11 is ENHANCE_YOUR_CALM.
        code: u32,
    },
    /// TLS or HTTP failed.
    Failed(String),
    /// The upstream was stopped while it was open.
    Stopped,
}

/// One header line, as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderLine {
    /// The name; HTTP/1.1 keeps its case.
    pub name: String,
    /// The value, without surrounding white space.
    pub value: Bytes,
}

/// One request.
#[derive(Clone, Debug)]
pub struct RequestSeen {
    /// Counted from 0 over all connections.
    pub nth: u64,
    /// The number of its connection.
    pub connection: u64,
    /// The HTTP/2 stream, 0 for HTTP/1.1.
    pub stream: u32,
    /// The method.
    pub method: String,
    /// Path and query, as sent.
    pub path: String,
    /// `:authority` of HTTP/2, or the host of an absolute target; see the headers for `Host`.
    pub authority: Option<String>,
    /// All lines; in order, with duplicates.
    pub headers: Vec<HeaderLine>,
    /// When the head had been read.
    pub head_ns: u64,
    /// Length of the body so far.
    pub body_len: u64,
    /// The first [`KEPT_BODY`] bytes of the body.
    pub body: Bytes,
    /// SHA-256 of the whole body in hexadecimal, once it has ended.
    pub body_sha256: Option<String>,
    /// When the body's end arrived.
    pub body_end_ns: Option<u64>,
    /// The trailers of the request.
    pub trailers: Vec<HeaderLine>,
    /// When our head was handed to the connection.
    pub answer_ns: Option<u64>,
    /// Body frames handed to the connection so far.
    pub frames: u64,
    /// Body bytes handed to the connection so far.
    pub bytes: u64,
    /// When it ended.
    pub end_ns: Option<u64>,
    /// How it ended; None while it lasts.
    pub end: Option<End>,
}

/// How a request ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// Wholly answered.
    Finished,
    /// The peer reset the stream, with this HTTP/2 error code (8 is CANCEL).
    Reset {
        /// RFC 9113, section 7.
        code: u32,
    },
    /// The peer closed the connection first.
    PeerClosed,
    /// A script, or the test from outside, broke it.
    Scripted,
    /// What came was not HTTP.
    Malformed(String),
    /// The upstream was stopped first.
    Stopped,
}

impl RequestSeen {
    /// The first value of a header, by name in any case, if it is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.header_values(name).into_iter().next()
    }

    /// All values of a header that are text.
    pub fn header_values(&self, name: &str) -> Vec<&str> {
        let named = self.headers.iter().filter(|line| line.name.eq_ignore_ascii_case(name));
        named.filter_map(|line| std::str::from_utf8(&line.value).ok()).collect()
    }

    /// Whether the peer left before the answer was complete.
    pub fn was_cancelled(&self) -> bool {
        matches!(self.end, Some(End::Reset { .. } | End::PeerClosed))
    }
}

impl Log {
    /// Connections that are open.
    pub fn open_connections(&self) -> usize {
        self.connections.iter().filter(|connection| connection.closed.is_none()).count()
    }

    /// Requests in progress.
    pub fn open_requests(&self) -> usize {
        self.requests.iter().filter(|request| request.end.is_none()).count()
    }
}
