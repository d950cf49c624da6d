//! The table: kind → side, outcome, status, `code`, proxy error type of RFC 9209
//! (section 2.3), message, retry advice. Texts are static so that nothing secret can get in.

use std::io;
use std::time::Duration;

use h2::Reason;
use http::StatusCode;

use super::{Blame, Kind, Side};

/// After a local shortage: long enough for a stream to end, and beside the SDKs' own first backoff
/// of half a second not felt as an outage.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Nobody is there to read it; the number is nginx's, so that dashboards know it in the log.
const CLIENT_CLOSED: u16 = 499;

struct Row(Side, Blame, u16, &'static str, &'static str);

impl Kind {
    #[expect(clippy::too_many_lines, reason = "a table: one line per kind, all in one place")]
    fn row(self) -> Row {
        use Blame::{Client as Gone, Refused, Timeout, Upstream as Failed};
        use Side::{Client, Proxy, Upstream};
        let bad = "http_request_error";
        let denied = "http_request_denied";
        let ours = "proxy_internal_response";
        let full = "connection_limit_reached";
        let cut = "http_response_incomplete";
        let ended = "connection_terminated";
        let size = "http_response_header_section_size";
        match self {
            Self::NoRoute => Row(Client, Refused, 404, "no_route", "destination_not_found"),
            Self::ForeignOrigin => Row(Client, Refused, 403, "foreign_origin", denied),
            Self::ForeignHost => Row(Client, Refused, 403, "foreign_host", denied),
            Self::MethodRefused => Row(Client, Refused, 405, "method_refused", bad),
            Self::HeadTooLarge => Row(Client, Refused, 431, "head_too_large", bad),
            Self::TooManyHeaders => Row(Client, Refused, 431, "too_many_headers", bad),
            Self::UpstreamHeadLimit => Row(Client, Refused, 431, "upstream_head_limit", bad),
            Self::TrailersTooLarge => Row(Client, Refused, 431, "trailers_too_large", bad),
            Self::TargetTooLong => Row(Client, Refused, 414, "target_too_long", bad),
            Self::BadRequest(_) => Row(Client, Refused, 400, "bad_request", bad),
            Self::HeadSlow => Row(Client, Timeout, 408, "head_slow", bad),
            Self::BodyIdle => Row(Client, Timeout, 408, "body_idle", bad),
            Self::BodySlow => Row(Client, Timeout, 408, "body_slow", bad),
            Self::ClientGone => Row(Client, Gone, CLIENT_CLOSED, "client_gone", bad),
            Self::ClientWriteStall => Row(Client, Timeout, CLIENT_CLOSED, "client_stalled", bad),
            Self::ControlFlood => Row(Client, Gone, CLIENT_CLOSED, "control_flood", bad),
            Self::CancelFlood => Row(Client, Gone, CLIENT_CLOSED, "cancel_flood", bad),
            Self::ClientMemory => {
                Row(Client, Timeout, CLIENT_CLOSED, "client_stalled_memory_short", bad)
            }
            Self::ClientDeadline => {
                Row(Upstream, Timeout, 504, "client_deadline", "http_response_timeout")
            }
            Self::Busy => Row(Proxy, Refused, 503, "busy", ours),
            Self::RouteBusy => Row(Proxy, Refused, 429, "route_busy", ours),
            Self::UpstreamBusy => Row(Proxy, Refused, 503, "upstream_busy", full),
            Self::TooManyConnections => Row(Proxy, Refused, 503, "too_many_connections", ours),
            Self::MemoryShort => Row(Proxy, Refused, 503, "memory_short", ours),
            Self::AllEjected => Row(Proxy, Refused, 503, "all_ejected", "destination_unavailable"),
            Self::Draining => Row(Proxy, Refused, 503, "draining", ours),
            Self::PoolQueueFull => Row(Proxy, Refused, 503, "pool_queue_full", full),
            Self::PoolQueueTimeout => Row(Proxy, Refused, 503, "pool_queue_timeout", full),
            Self::LocalLimit => Row(Proxy, Refused, 503, "local_limit", full),
            Self::ConnectTimeout => {
                Row(Upstream, Timeout, 504, "connect_timeout", "connection_timeout")
            }
            Self::ConnectRefused => {
                Row(Upstream, Failed, 502, "connect_refused", "connection_refused")
            }
            Self::Dns => Row(Upstream, Failed, 502, "dns_error", "dns_error"),
            Self::Tls => Row(Upstream, Failed, 502, "tls_error", "tls_protocol_error"),
            Self::UpstreamHandshake => {
                Row(Upstream, Failed, 502, "upstream_handshake", "http_protocol_error")
            }
            Self::HeadTimeout => {
                Row(Upstream, Timeout, 504, "head_timeout", "http_response_timeout")
            }
            Self::FirstFrameTimeout => {
                Row(Upstream, Timeout, 504, "first_frame_timeout", "http_response_timeout")
            }
            Self::GapTimeout => {
                Row(Upstream, Timeout, 504, "gap_timeout", "connection_read_timeout")
            }
            Self::UpstreamReset => Row(Upstream, Failed, 502, "upstream_reset", cut),
            Self::UpstreamClosed => Row(Upstream, Failed, 502, "upstream_closed", ended),
            Self::UpstreamGoaway => Row(Upstream, Failed, 502, "upstream_goaway", ended),
            Self::UpstreamProtocol => {
                Row(Upstream, Failed, 502, "upstream_protocol", "http_protocol_error")
            }
            Self::UpstreamInterim => {
                Row(Upstream, Failed, 502, "upstream_interim", "http_protocol_error")
            }
            Self::AnswerHeadTooLarge => Row(Upstream, Failed, 502, "answer_head_too_large", size),
            Self::UpstreamCut => Row(Upstream, Failed, 502, "upstream_cut", cut),
            Self::Internal => Row(Proxy, Refused, 500, "internal", "proxy_internal_error"),
        }
    }

    /// What failed, on which side, and what to do: fit for anyone's eyes.
    #[expect(clippy::too_many_lines, reason = "a table: one line per kind, all in one place")]
    pub fn message(self) -> &'static str {
        match self {
            Self::NoRoute => "No route of this proxy has this path; check the base URL.",
            Self::ForeignOrigin => {
                "Web pages of this origin may not use the proxy; allowed_origins is the key that lets them."
            }
            Self::ForeignHost => {
                "The proxy listens on loopback and takes loopback names; allowed_hosts is the key for others."
            }
            Self::MethodRefused => "This proxy forwards neither CONNECT nor TRACE.",
            Self::HeadTooLarge => "The request's headers are too large; send fewer bytes of them.",
            Self::TooManyHeaders => "The request has too many headers; send fewer.",
            Self::UpstreamHeadLimit => {
                "The request's headers are larger than the upstream takes; send fewer bytes of them."
            }
            Self::TrailersTooLarge => {
                "The request's trailers are larger than the upstream takes; send fewer."
            }
            Self::TargetTooLong => "The request's URL is too long; send a shorter one.",
            Self::BadRequest(why) => why,
            Self::HeadSlow => "The request's head stopped arriving; send it again.",
            Self::BodyIdle => "The request's body stopped arriving; send it again.",
            Self::BodySlow => "The request's body arrives too slowly; send it again, faster.",
            Self::ClientGone => "The client closed before its answer was complete.",
            Self::ClientWriteStall => "The client stopped reading its answer.",
            Self::ControlFlood => "The client sent control frames without end.",
            Self::CancelFlood => "The client gave up request after request.",
            Self::ClientMemory => {
                "The client did not read its answer while the proxy was short of memory."
            }
            Self::ClientDeadline => {
                "The time in x-firstbyte-timeout-ms passed before the answer's end."
            }
            Self::Busy => "The proxy has as many requests in flight as it takes; retry shortly.",
            Self::RouteBusy => {
                "This route has as many requests in flight as it takes; retry shortly."
            }
            Self::UpstreamBusy => {
                "The upstream has as many requests in flight as it may; retry shortly."
            }
            Self::TooManyConnections => {
                "The proxy has as many connections as it takes; retry shortly."
            }
            Self::MemoryShort => "The proxy is short of memory; retry shortly.",
            Self::AllEjected => "Every upstream of this route is out of service; retry shortly.",
            Self::Draining => "The proxy is shutting down; retry on a new connection.",
            Self::PoolQueueFull => "Too many requests wait for the upstream; retry shortly.",
            Self::PoolQueueTimeout => "No upstream stream became free in time; retry shortly.",
            Self::LocalLimit => "The proxy is out of sockets or ports; retry shortly.",
            Self::ConnectTimeout => "Connecting to the upstream took too long; retry later.",
            Self::ConnectRefused => "The upstream could not be reached; check that it is running.",
            Self::Dns => "The upstream's name could not be resolved; check its URL and the DNS.",
            Self::Tls => "The TLS handshake with the upstream failed; check its certificate.",
            Self::UpstreamHandshake => "The upstream did not start HTTP; check its protocol.",
            Self::HeadTimeout => "The upstream sent no answer in time; retry later.",
            Self::FirstFrameTimeout => {
                "The upstream sent a head and nothing after it; retry later."
            }
            Self::GapTimeout => "The upstream fell silent in the middle of its answer.",
            Self::UpstreamReset => "The upstream reset the request before answering; retry later.",
            Self::UpstreamClosed => "The upstream closed before answering; retry later.",
            Self::UpstreamGoaway => {
                "The upstream ended the connection with an error; the request may be its cause."
            }
            Self::UpstreamProtocol => "The upstream's answer breaks HTTP; look at the upstream.",
            Self::UpstreamInterim => {
                "The upstream sent interim (1xx) responses and no final one; look at the upstream."
            }
            Self::AnswerHeadTooLarge => {
                "The upstream's answer has more headers than this proxy takes; look at the upstream."
            }
            Self::UpstreamCut => "The upstream failed in the middle of its answer.",
            Self::Internal => "The proxy failed; its log has this request's id.",
        }
    }

    /// Who failed.
    pub fn side(self) -> Side {
        self.row().0
    }

    /// What the request counts as.
    pub fn outcome(self) -> Blame {
        self.row().1
    }

    /// The status sent, or logged where it is too late to send one.
    pub fn status(self) -> StatusCode {
        StatusCode::from_u16(self.row().2).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// The JSON's `code`: stable and `snake_case`, so it serves as a log field and a metric label too.
    pub fn code(self) -> &'static str {
        self.row().3
    }

    /// The JSON's `type`.
    pub fn openai_type(self) -> &'static str {
        match self.side() {
            Side::Proxy if self.status() == StatusCode::TOO_MANY_REQUESTS => "rate_limit_error",
            Side::Client => "invalid_request_error",
            Side::Upstream | Side::Proxy => "server_error",
        }
    }

    /// Proxy error type (RFC 9209, section 2.3).
    pub fn proxy_status(self) -> &'static str {
        self.row().4
    }

    /// `x-should-retry`: `false` where the same request must fail again; otherwise the SDKs' own
    /// rule (408, 409, 429, 5xx) is right and `None` leaves it to them.
    pub fn should_retry(self) -> Option<bool> {
        let hopeless = self.side() == Side::Client && self.outcome() == Blame::Refused;
        hopeless.then_some(false)
    }

    /// When to come back; set on the 503s and 429s, which are all a shortage of our own.
    pub fn retry_after(self) -> Option<Duration> {
        let short = [StatusCode::SERVICE_UNAVAILABLE, StatusCode::TOO_MANY_REQUESTS];
        short.contains(&self.status()).then_some(RETRY_AFTER)
    }

    /// What an `h2` error of a stream means before the answer's head; after it, all is
    /// [`Kind::UpstreamCut`].
    pub fn of_h2(error: &h2::Error) -> Self {
        if error.is_library() {
            return Self::UpstreamProtocol;
        }
        match (error.is_remote(), error.is_go_away(), error.reason()) {
            (true, true, Some(reason)) if reason != Reason::NO_ERROR => Self::UpstreamGoaway,
            (true, false, _) => Self::UpstreamReset,
            _ => Self::UpstreamClosed,
        }
    }

    /// What a failed `connect` means. A shortage of our own (ports, descriptors, memory) must not
    /// be blamed on an upstream that is well.
    pub fn of_connect(error: &io::Error) -> Self {
        const NO_FILES: [i32; 3] = [23, 24, 105]; // ENFILE, EMFILE, ENOBUFS on Linux
        if error.raw_os_error().is_some_and(|code| NO_FILES.contains(&code)) {
            return Self::LocalLimit;
        }
        match error.kind() {
            io::ErrorKind::TimedOut => Self::ConnectTimeout,
            io::ErrorKind::AddrNotAvailable | io::ErrorKind::OutOfMemory => Self::LocalLimit,
            _ => Self::ConnectRefused,
        }
    }
}
