//! What we trust and what we offer when we speak TLS to an upstream.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

use crate::config::{self, Protocol, apart, read_regular};

/// Why the trusted roots could not be put together.
#[derive(Debug)]
pub enum TlsError {
    /// The platform's roots could not be read in time, or are no regular file.
    Platform(io::Error),
    /// A PEM file holds something else.
    Pem(PathBuf, rustls::pki_types::pem::Error),
    /// A file held no certificate at all.
    Empty(PathBuf),
    /// rustls refused a certificate or a version.
    Rustls(rustls::Error),
}

impl std::fmt::Display for TlsError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Platform(_) => write!(f, "cannot read the platform's root certificates"),
            Self::Pem(path, _) => write!(f, "cannot read certificates from {}", path.display()),
            Self::Empty(path) => write!(f, "{} contains no certificate", path.display()),
            Self::Rustls(_) => write!(f, "cannot set up TLS"),
        }
    }
}

impl std::error::Error for TlsError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Platform(error) => Some(error),
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
    ///
    /// # Errors
    /// [`TlsError::Platform`]: the file system does not answer, or `SSL_CERT_FILE` is no regular file.
    pub fn load() -> Result<Self, TlsError> {
        let named = std::env::var_os("SSL_CERT_FILE").map(PathBuf::from);
        let about = named.clone().unwrap_or_else(|| PathBuf::from("the platform's certificates"));
        let found = apart(&about, move || {
            let unfit = [io::ErrorKind::InvalidInput, io::ErrorKind::FileTooLarge];
            match named.as_deref().map(read_regular) {
                Some(Err(error)) if unfit.contains(&error.kind()) => Err(error),
                _ => Ok(rustls_native_certs::load_native_certs().certs),
            }
        });
        let mut store = RootCertStore::empty();
        let (_added, _ignored) =
            store.add_parsable_certificates(found.map_err(TlsError::Platform)?);
        if store.is_empty() && std::env::var_os("SSL_CERT_FILE").is_none() {
            store.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        }
        if store.is_empty() {
            // Not refused: an upstream's own CA file may be all that is needed.
            tracing::warn!(
                "SSL_CERT_FILE contains no usable certificate: no root is trusted except those of \
                 ca_file"
            );
        }
        Ok(Self(store))
    }

    fn and_file(&self, path: &Path, pem: &[u8]) -> Result<RootCertStore, TlsError> {
        let mut store = self.0.clone();
        let mut any = false;
        for certificate in CertificateDer::pem_slice_iter(pem) {
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
/// `ca` is what the upstream's CA file holds.
///
/// # Errors
/// The upstream's CA file cannot be used.
pub fn client_config(
    roots: &Roots,
    upstream: &config::Upstream,
    ca: Option<&[u8]>,
) -> Result<Arc<ClientConfig>, TlsError> {
    let store = match (&upstream.ca_file, ca) {
        (Some(path), Some(pem)) => roots.and_file(path, pem)?,
        _ => roots.0.clone(),
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
