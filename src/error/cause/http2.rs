//! What an error of HTTP/2 tells.

use std::io;

use h2::Reason;

use super::Cause;
use super::tls::tls;

impl Cause {
    /// Of a stream, or of a connection that ended.
    pub fn of_h2(error: &h2::Error) -> Self {
        if error.is_library() {
            return Self::Http2Violation;
        }
        match error.reason() {
            Some(code) if error.is_remote() && error.is_go_away() => Self::of_goaway(code),
            Some(code) if error.is_remote() => Self::of_reset(code),
            Some(_) => Self::Http2Violation,
            None => error.get_io().map_or(Self::Closed, Self::of_closed),
        }
    }

    /// Of a GOAWAY with this code (RFC 9113, section 7).
    pub fn of_goaway(code: Reason) -> Self {
        match code {
            Reason::NO_ERROR => Self::Goaway,
            Reason::PROTOCOL_ERROR => Self::GoawayProtocolError,
            Reason::INTERNAL_ERROR => Self::GoawayInternalError,
            Reason::FLOW_CONTROL_ERROR => Self::GoawayFlowControl,
            Reason::FRAME_SIZE_ERROR => Self::GoawayFrameSize,
            Reason::COMPRESSION_ERROR => Self::GoawayCompression,
            Reason::ENHANCE_YOUR_CALM => Self::GoawayCalm,
            Reason::INADEQUATE_SECURITY => Self::GoawaySecurity,
            Reason::HTTP_1_1_REQUIRED => Self::Http11Required,
            _ => Self::GoawayOther,
        }
    }

    fn of_reset(code: Reason) -> Self {
        match code {
            Reason::NO_ERROR => Self::ResetNoError,
            Reason::PROTOCOL_ERROR => Self::ResetProtocolError,
            Reason::INTERNAL_ERROR => Self::ResetInternalError,
            Reason::REFUSED_STREAM => Self::ResetRefused,
            Reason::CANCEL => Self::ResetCancel,
            Reason::ENHANCE_YOUR_CALM => Self::ResetCalm,
            Reason::HTTP_1_1_REQUIRED => Self::Http11Required,
            _ => Self::ResetOther,
        }
    }

    /// Of a connection that was there and ended with this error of its socket. Over TLS that may be an alert: a
    /// server says only after the handshake that it wants a certificate (RFC 8446, section 4.4.2.4).
    pub fn of_closed(error: &io::Error) -> Self {
        if let Some(error) = tls(error) {
            return Self::of_rustls(error);
        }
        match error.kind() {
            io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted => {
                Self::ClosedByReset
            }
            io::ErrorKind::TimedOut => Self::Unanswered,
            io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => Self::Unreachable,
            _ => Self::Closed,
        }
    }
}
