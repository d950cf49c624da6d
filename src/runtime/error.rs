//! Why a proxy could not start.

use std::io;

use crate::config::ListenAddress;
use crate::relay::head::BadUpstream;
use crate::store::StoreError;
use crate::transport::tls::client::TlsError;

/// Why the proxy could not start.
#[derive(Debug)]
pub enum StartError {
    /// An address cannot be listened on.
    Listen(ListenAddress, io::Error),
    /// systemd did not pass a socket for an address of `listen`.
    NotGiven(ListenAddress),
    /// systemd passed a socket that neither `listen` nor `admin` names.
    NotMeant(ListenAddress),
    /// The access log cannot be opened, or a thread or its runtime not be made.
    Io(&'static str, io::Error),
    /// What is kept cannot be read or written.
    Store(StoreError),
    /// TLS cannot be spoken on a listener.
    Door(ListenAddress, rustls::Error),
    /// TLS toward the named upstream cannot be set up.
    Tls(String, TlsError),
    /// The named upstream's configuration cannot be put into a request.
    Upstream(String, BadUpstream),
}

impl std::fmt::Display for StartError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Listen(address, _) => write!(f, "cannot listen on {address}"),
            Self::NotGiven(address) => write!(
                f,
                "systemd passed no socket for {address}, which is in `listen`; the socket unit \
                 must have the same addresses"
            ),
            Self::NotMeant(address) => write!(
                f,
                "systemd passed a socket for {address}, which is in neither `listen` nor `admin`; \
                 remove it from the socket unit"
            ),
            Self::Io(what, _) => write!(f, "cannot {what}"),
            Self::Store(error) => write!(f, "{error}"),
            Self::Door(address, _) => write!(f, "cannot set up TLS on {address}"),
            Self::Tls(upstream, _) | Self::Upstream(upstream, _) => {
                write!(f, "upstream {upstream:?} cannot be used")
            }
        }
    }
}

impl std::error::Error for StartError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Listen(_, error) | Self::Io(_, error) => Some(error),
            Self::Store(error) => error.source(),
            Self::Door(_, error) => Some(error),
            Self::Tls(_, error) => Some(error),
            Self::Upstream(_, error) => Some(error),
            Self::NotGiven(_) | Self::NotMeant(_) => None,
        }
    }
}
