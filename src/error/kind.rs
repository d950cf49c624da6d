//! What the table says of a kind of failure, and what follows from it.

use std::io;
use std::time::Duration;

use h2::Reason;
use http::StatusCode;

use super::table::Kind;
use super::{Blame, Cause, Error, Side};

/// After a local shortage: long enough for a stream to end, and beside the SDKs' own first backoff
/// of half a second not felt as an outage.
const RETRY_AFTER: Duration = Duration::from_secs(1);

impl Kind {
    /// What failed, on which side, and what to do: fit for anyone's eyes.
    pub fn message(self) -> &'static str {
        self.row().message
    }

    /// Who failed.
    pub fn side(self) -> Side {
        self.row().side
    }

    /// What the request counts as.
    pub fn outcome(self) -> Blame {
        self.row().blame
    }

    /// The status sent, or logged where it is too late to send one.
    pub fn status(self) -> StatusCode {
        StatusCode::from_u16(self.row().status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// The JSON's `code`: stable and `snake_case`, so it serves as a log field and a metric label too.
    pub fn code(self) -> &'static str {
        self.row().code
    }

    /// The JSON's `type`.
    pub fn openai_type(self) -> &'static str {
        match self.side() {
            _ if self == Self::QuotaExceeded => "insufficient_quota",
            Side::Proxy if self.status() == StatusCode::TOO_MANY_REQUESTS => "rate_limit_error",
            Side::Client => "invalid_request_error",
            Side::Upstream | Side::Proxy => "server_error",
        }
    }

    /// Proxy error type (RFC 9209, section 2.3).
    pub fn proxy_status(self) -> &'static str {
        self.row().proxy_status
    }

    /// What it comes of where nothing else was found. Whoever knows better says so: [`super::Error::because`].
    pub(super) fn usual_cause(self) -> Option<Cause> {
        Some(match self {
            Self::ClientDeadline => Cause::ClientDeadline,
            Self::ConnectTimeout => Cause::ConnectTimeout,
            Self::ConnectRefused => Cause::ConnectFailed,
            Self::Dns => Cause::DnsFailed,
            Self::Tls => Cause::TlsFailed,
            Self::UpstreamHandshake => Cause::HandshakeClosed,
            Self::HeadTimeout => Cause::HeadDeadline,
            Self::FirstFrameTimeout => Cause::FirstFrameDeadline,
            Self::GapTimeout => Cause::FrameGapDeadline,
            Self::UpstreamReset => Cause::ResetOther,
            Self::UpstreamClosed => Cause::Closed,
            Self::UpstreamGoaway => Cause::GoawayOther,
            Self::UpstreamProtocol => Cause::InvalidHead,
            Self::UpstreamInterim => Cause::TooManyInterims,
            Self::UpgradeRefused => Cause::UpgradeRefused,
            Self::AnswerHeadTooLarge => Cause::HeadTooLarge,
            Self::UpstreamCut | Self::StreamCut => Cause::Truncated,
            _ => return None,
        })
    }

    /// No connection to the upstream could be had. The pool tells of it on stderr.
    pub fn is_connect(self) -> bool {
        matches!(
            self,
            Self::ConnectTimeout
                | Self::ConnectRefused
                | Self::Dns
                | Self::Tls
                | Self::UpstreamHandshake
        )
    }

    /// `x-should-retry`: `false` where the same request must fail again; otherwise the SDKs' own
    /// rule (408, 409, 429, 5xx) is right and `None` leaves it to them.
    pub fn should_retry(self) -> Option<bool> {
        // A budget does not come back while anybody waits.
        let hopeless = self == Self::QuotaExceeded
            || self.side() == Side::Client && self.outcome() == Blame::Refused;
        hopeless.then_some(false)
    }

    /// When to come back; set on the 503s and 429s, which are all a shortage of our own. Whoever knows better says
    /// so: [`super::Detail`].
    pub fn retry_after(self) -> Option<Duration> {
        if self == Self::QuotaExceeded {
            return None;
        }
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

impl Error {
    /// Of a `connect` that failed.
    pub fn of_connect(error: io::Error) -> Self {
        use io::ErrorKind::{ConnectionRefused, HostUnreachable, NetworkUnreachable};
        use io::ErrorKind::{NotFound, PermissionDenied, TimedOut};
        let kind = Kind::of_connect(&error);
        let cause = match error.kind() {
            ConnectionRefused => Cause::Refused,
            HostUnreachable | NetworkUnreachable => Cause::Unreachable,
            TimedOut => Cause::ConnectTimeout,
            NotFound => Cause::SocketMissing,
            PermissionDenied => Cause::SocketDenied,
            _ => Cause::ConnectFailed,
        };
        let failed = Self::with(kind, error);
        // A shortage of our own has its kind for a reason.
        if kind == Kind::LocalLimit { failed } else { failed.because(cause) }
    }
}
