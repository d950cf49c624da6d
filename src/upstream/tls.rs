//! What we trust and what we offer when we speak TLS to an upstream.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

use crate::config::{self, Protocol};

/// Why the trusted roots could not be put together.
#[derive(Debug)]
pub enum TlsError {
    /// A PEM file could not be read or holds something else.
    Pem(std::path::PathBuf, rustls::pki_types::pem::Error),
    /// A file held no certificate at all.
    Empty(std::path::PathBuf),
    /// rustls refused a certificate or a version.
    Rustls(rustls::Error),
}

impl std::fmt::Display for TlsError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Pem(path, _) => write!(f, "cannot read certificates from {}", path.display()),
            Self::Empty(path) => write!(f, "no certificate in {}", path.display()),
            Self::Rustls(_) => write!(f, "TLS cannot be set up"),
        }
    }
}

impl std::error::Error for TlsError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Pem(_, error) => Some(error),
            Self::Empty(_) => None,
            Self::Rustls(error) => Some(error),
        }
    }
}

/// The platform's roots, read once: `SSL_CERT_FILE` and `SSL_CERT_DIR` replace them as they do for
/// OpenSSL's users; where the platform has none, Mozilla's as compiled in.
#[derive(Debug, Clone)]
pub struct Roots(RootCertStore);

impl Roots {
    /// Reads the platform's roots. Unreadable single files are skipped, as other tools do.
    pub fn load() -> Self {
        let mut store = RootCertStore::empty();
        let (_added, _ignored) =
            store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if store.is_empty() && std::env::var_os("SSL_CERT_FILE").is_none() {
            store.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        }
        if store.is_empty() {
            // Not refused: an upstream's own CA file may be all that is needed.
            tracing::warn!("SSL_CERT_FILE holds no certificate that can be used: none is trusted");
        }
        Self(store)
    }

    fn and_file(&self, path: &Path) -> Result<RootCertStore, TlsError> {
        let mut store = self.0.clone();
        let mut any = false;
        let certificates = CertificateDer::pem_file_iter(path)
            .map_err(|error| TlsError::Pem(path.to_owned(), error))?;
        for certificate in certificates {
            let certificate = certificate.map_err(|error| TlsError::Pem(path.to_owned(), error))?;
            store.add(certificate).map_err(TlsError::Rustls)?;
            any = true;
        }
        if any { Ok(store) } else { Err(TlsError::Empty(path.to_owned())) }
    }
}

/// The client configuration toward one upstream, shared by all workers so that sessions resume.
/// TLS 1.2 at least; no early data, since a POST must not be replayed.
///
/// # Errors
/// The upstream's CA file cannot be used.
pub fn client_config(
    roots: &Roots,
    upstream: &config::Upstream,
) -> Result<Arc<ClientConfig>, TlsError> {
    let store = match &upstream.ca_file {
        Some(path) => roots.and_file(path)?,
        None => roots.0.clone(),
    };
    let provider = Arc::new(provider());
    let mut client = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(TlsError::Rustls)?
        .with_root_certificates(store)
        .with_no_client_auth();
    client.alpn_protocols = match upstream.protocol {
        Protocol::Auto => vec![b"h2".to_vec(), b"http/1.1".to_vec()],
        Protocol::Http1 => vec![b"http/1.1".to_vec()],
        Protocol::Http2 => vec![b"h2".to_vec()],
    };
    Ok(Arc::new(client))
}

/// aws-lc-rs with AES-128-GCM first: the cheapest cipher per byte where the processor has AES.
fn provider() -> rustls::crypto::CryptoProvider {
    use rustls::crypto::aws_lc_rs::{self, cipher_suite};
    let mut provider = aws_lc_rs::default_provider();
    let first = |suite: &rustls::SupportedCipherSuite| {
        !matches!(
            suite.suite(),
            rustls::CipherSuite::TLS13_AES_128_GCM_SHA256
                | rustls::CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256
                | rustls::CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256
        )
    };
    debug_assert!(provider.cipher_suites.contains(&cipher_suite::TLS13_AES_128_GCM_SHA256));
    provider.cipher_suites.sort_by_key(first);
    provider
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aes_128_gcm_is_offered_first_and_nothing_is_lost() {
        let ours = provider().cipher_suites;
        let theirs = rustls::crypto::aws_lc_rs::default_provider().cipher_suites;
        assert_eq!(ours[0].suite(), rustls::CipherSuite::TLS13_AES_128_GCM_SHA256);
        assert_eq!(ours.len(), theirs.len());
    }
}
