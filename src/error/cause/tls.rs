//! What an error of TLS tells.

use std::fmt;
use std::io;

use rustls::{AlertDescription, CertificateError, InvalidMessage, OtherError};

use super::Cause;

/// A certificate that was refused for a reason of ours, or with more to say of it than rustls does. rustls carries
/// it as its own error's cause.
#[derive(Debug)]
pub struct Distrust {
    /// Why.
    pub cause: Cause,
    /// What was found and what would help, for the operator: never for a client.
    pub why: String,
}

impl Distrust {
    /// The one within an error of the socket, where that is one.
    pub fn within(error: &io::Error) -> Option<&Self> {
        let rustls::Error::InvalidCertificate(CertificateError::Other(OtherError(other))) =
            tls(error)?
        else {
            return None;
        };
        other.downcast_ref()
    }
}

impl fmt::Display for Distrust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.why)
    }
}

impl std::error::Error for Distrust {}

impl Cause {
    /// Of a TLS handshake or connection that failed, which tokio-rustls tells as an error of the socket.
    pub fn of_tls(error: &io::Error) -> Self {
        match tls(error) {
            Some(error) => Self::of_rustls(error),
            None if error.kind() == io::ErrorKind::TimedOut => Self::Unanswered,
            None => Self::TlsClosed,
        }
    }

    pub(super) fn of_rustls(error: &rustls::Error) -> Self {
        match error {
            rustls::Error::InvalidCertificate(why) => Self::of_certificate(why),
            rustls::Error::AlertReceived(alert) => Self::of_alert(*alert),
            rustls::Error::PeerIncompatible(_) => Self::TlsNoCommonVersion,
            rustls::Error::NoApplicationProtocol => Self::TlsNoCommonProtocol,
            rustls::Error::InvalidMessage(
                InvalidMessage::InvalidContentType | InvalidMessage::UnknownProtocolVersion,
            ) => Self::TlsNotSpoken,
            _ => Self::TlsFailed,
        }
    }

    /// Of a certificate that was refused.
    pub fn of_certificate(error: &CertificateError) -> Self {
        use CertificateError as Why;
        match error {
            Why::Expired | Why::ExpiredContext { .. } => Self::TlsExpired,
            Why::NotValidYet | Why::NotValidYetContext { .. } => Self::TlsNotYetValid,
            // Of an authority by the same name as one that is trusted, with another key.
            Why::UnknownIssuer | Why::BadSignature => Self::TlsUnknownAuthority,
            Why::NotValidForNameContext { presented, .. } if presented.is_empty() => {
                Self::TlsNoNames
            }
            Why::NotValidForName | Why::NotValidForNameContext { .. } => Self::TlsWrongName,
            Why::Revoked => Self::TlsRevoked,
            Why::Other(OtherError(other)) => match other.downcast_ref::<Distrust>() {
                Some(distrust) => distrust.cause,
                // webpki's own: rustls has no word for it.
                None if other.to_string() == "CaUsedAsEndEntity" => Self::TlsCaAsServer,
                None => Self::TlsBadCertificate,
            },
            _ => Self::TlsBadCertificate,
        }
    }

    /// RFC 8446, section 6.2. Those about certificates are about ours: the peer has no other to judge.
    fn of_alert(alert: AlertDescription) -> Self {
        use AlertDescription as Alert;
        match alert {
            Alert::CertificateRequired => Self::TlsCertificateDemanded,
            Alert::BadCertificate
            | Alert::UnsupportedCertificate
            | Alert::CertificateRevoked
            | Alert::CertificateExpired
            | Alert::CertificateUnknown
            | Alert::UnknownCA
            | Alert::DecryptError
            | Alert::AccessDenied => Self::TlsCertificateRefused,
            Alert::UnrecognisedName => Self::TlsUnknownName,
            Alert::HandshakeFailure | Alert::ProtocolVersion | Alert::InsufficientSecurity => {
                Self::TlsNoCommonVersion
            }
            Alert::NoApplicationProtocol => Self::TlsNoCommonProtocol,
            _ => Self::TlsAlert,
        }
    }
}

/// The TLS error within one of a socket.
pub(super) fn tls(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref()?.downcast_ref()
}
