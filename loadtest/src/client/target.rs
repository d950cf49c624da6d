//! Where requests go, and how: origin, protocol, trust.

use std::sync::Arc;
use std::time::Duration;

use http::Uri;
use http::uri::Authority;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;

use crate::tls::{self, TlsError};

/// The application protocol to speak.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/2 where TLS negotiates it, else HTTP/1.1.
    #[default]
    Auto,
    /// HTTP/1.1 only.
    Http1,
    /// HTTP/2 only; with prior knowledge where there is no TLS.
    Http2,
}

/// How long a connection may take, TLS included, unless said otherwise.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// An origin and the way to reach it. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Target {
    pub(super) authority: Authority,
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
    pub(super) protocol: Protocol,
    pub(super) connect_timeout: Duration,
    pub(super) kernel_stamps: bool,
    path: String,
}

/// Why a URL or certificate cannot be used.
#[derive(Debug)]
pub enum TargetError {
    /// Not an `http` or `https` URL with a host.
    Url(String),
    /// TLS could not be set up, for want of a certificate authority above all.
    Tls(TlsError),
}

impl std::fmt::Display for TargetError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Url(url) => write!(f, "not an http:// or https:// URL: {url:?}"),
            Self::Tls(error) => write!(f, "cannot set up TLS: {error}"),
        }
    }
}

impl std::error::Error for TargetError {}

impl Target {
    /// The target that `url` names, with the platform's trusted roots for `https`.
    pub fn new(url: &str) -> Result<Self, TargetError> {
        Self::build(url, None)
    }

    /// The target that `url` names, trusting only the certificates in `pem`.
    pub fn trusting(url: &str, pem: &str) -> Result<Self, TargetError> {
        Self::build(url, Some(pem))
    }

    /// The same target, reached by `protocol`.
    #[must_use]
    pub fn speaking(mut self, protocol: Protocol) -> Self {
        self.protocol = protocol;
        if let Some((config, _)) = &mut self.tls {
            let mut own = ClientConfig::clone(config);
            own.alpn_protocols = alpn(protocol);
            *config = Arc::new(own);
        }
        self
    }

    /// The same target with another bound on connecting, TLS included.
    #[must_use]
    pub fn connecting_within(mut self, limit: Duration) -> Self {
        self.connect_timeout = limit;
        self
    }

    /// The same target, with the kernel's receive stamps taken at each read (Linux; elsewhere
    /// connecting fails). See [`Watch::wake`](super::Watch::wake).
    #[must_use]
    pub fn with_kernel_stamps(mut self, stamps: bool) -> Self {
        self.kernel_stamps = stamps;
        self
    }

    /// The URL's path and query, `/` if it had none.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Scheme and authority, for people.
    pub fn origin(&self) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.authority)
    }

    fn build(url: &str, pem: Option<&str>) -> Result<Self, TargetError> {
        let wrong = || TargetError::Url(url.into());
        let uri: Uri = url.parse().map_err(|_| wrong())?;
        let authority = uri.authority().cloned().ok_or_else(wrong)?;
        let (secure, usual) = match uri.scheme_str() {
            Some("http") => (false, 80),
            Some("https") => (true, 443),
            _ => return Err(wrong()),
        };
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        let tls = if secure {
            let name = ServerName::try_from(host.clone()).map_err(|_| wrong())?;
            Some((tls_config(pem)?, name))
        } else {
            None
        };
        Ok(Self {
            port: authority.port_u16().unwrap_or(usual),
            path: uri.path_and_query().map_or("/", |path| path.as_str()).to_owned(),
            connect_timeout: CONNECT_TIMEOUT,
            protocol: Protocol::Auto,
            kernel_stamps: false,
            authority,
            host,
            tls,
        })
    }
}

fn alpn(protocol: Protocol) -> Vec<Vec<u8>> {
    let (h2, http1) = (tls::H2.to_vec(), tls::HTTP_1_1.to_vec());
    match protocol {
        Protocol::Auto => vec![h2, http1],
        Protocol::Http1 => vec![http1],
        Protocol::Http2 => vec![h2],
    }
}

fn tls_config(pem: Option<&str>) -> Result<Arc<ClientConfig>, TargetError> {
    if let Some(pem) = pem {
        return tls::client_config(pem, &[tls::H2, tls::HTTP_1_1]).map_err(TargetError::Tls);
    }
    let mut roots = rustls::RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let mut config = ClientConfig::builder_with_provider(tls::provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| TargetError::Tls(TlsError::Config(error)))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = alpn(Protocol::Auto);
    Ok(Arc::new(config))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_gives_origin_port_and_path() {
        let target = Target::new("http://[::1]:8080/v1?x=1").unwrap();
        assert_eq!((target.host.as_str(), target.port, target.path()), ("::1", 8080, "/v1?x=1"));
        assert_eq!(target.origin(), "http://[::1]:8080");
        assert_eq!(Target::new("http://localhost").unwrap().port, 80);
    }

    #[test]
    fn what_is_not_an_http_url_is_refused() {
        for url in ["", "localhost:80", "ftp://x", "http://", "/v1"] {
            assert!(matches!(Target::new(url), Err(TargetError::Url(_))), "{url}");
        }
        assert!(matches!(Target::trusting("https://x", ""), Err(TargetError::Tls(_))));
    }
}
