//! What we trust and what we offer when we speak TLS to an upstream.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, RootCertStore};
use secrecy::{ExposeSecret, SecretSlice};
use sha2::{Digest, Sha256};

use super::identity::Identity;
use super::verify::Verifier;
use crate::config::{self, Protocol, apart, read_file, read_regular};
use crate::error::Cause;

/// Why TLS toward an upstream could not be set up.
#[derive(Debug)]
pub enum TlsError {
    /// The platform's roots could not be read in time, or are no regular file.
    Platform(io::Error),
    /// A file could not be read.
    File(PathBuf, io::Error),
    /// A PEM file holds something else.
    Pem(PathBuf, rustls::pki_types::pem::Error),
    /// A file held no certificate at all.
    Empty(PathBuf),
    /// A private key does not fit its certificate, or is of a kind that is not known.
    Key(PathBuf, rustls::Error),
    /// rustls refused a certificate or a version.
    Rustls(rustls::Error),
}

impl std::fmt::Display for TlsError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Platform(_) => write!(f, "cannot read the platform's root certificates"),
            Self::File(path, _) => write!(f, "cannot read {}", path.display()),
            Self::Pem(path, _) => {
                write!(f, "cannot read certificates or a key from {}", path.display())
            }
            Self::Empty(path) => write!(f, "{} contains no certificate", path.display()),
            Self::Key(path, _) => {
                write!(f, "the key in {} cannot be used with its certificate", path.display())
            }
            Self::Rustls(_) => write!(f, "cannot set up TLS"),
        }
    }
}

impl std::error::Error for TlsError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Platform(error) | Self::File(_, error) => Some(error),
            Self::Pem(_, error) => Some(error),
            Self::Empty(_) => None,
            Self::Key(_, error) | Self::Rustls(error) => Some(error),
        }
    }
}

/// The platform's roots, as they are now: `SSL_CERT_FILE` and `SSL_CERT_DIR` replace them as they do for
/// OpenSSL's users; where the platform has none, Mozilla's as compiled in.
#[derive(Debug, Clone)]
pub struct Roots {
    store: RootCertStore,
    /// Of their certificates.
    digest: Sha256,
}

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
        let mut found = found.map_err(TlsError::Platform)?;
        found.sort_unstable_by(|one, other| one.as_ref().cmp(other)); // a folder has no order
        let digest = found.iter().fold(Sha256::new(), Sha256::chain_update);
        let mut store = RootCertStore::empty();
        let (_added, _ignored) = store.add_parsable_certificates(found);
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
        Ok(Self { store, digest })
    }
}

/// The files of one upstream's TLS as they are now.
pub struct TlsFiles {
    ca: Option<Vec<u8>>,
    certificate: Option<Vec<u8>>,
    key: Option<SecretSlice<u8>>,
}

/// Of all that TLS toward an upstream is made of but its settings: the same where nothing was replaced.
pub type TlsDigest = [u8; 32];

impl TlsFiles {
    /// Reads them. Blocks for as long as their file systems do, within bounds.
    ///
    /// # Errors
    /// [`TlsError::File`].
    pub fn read(upstream: &config::Upstream) -> Result<Self, TlsError> {
        let read =
            |path: &Path| read_file(path).map_err(|error| TlsError::File(path.to_owned(), error));
        let client = upstream.tls.client.as_ref();
        Ok(Self {
            ca: upstream.ca_file.as_deref().map(read).transpose()?,
            certificate: client.map(|files| read(&files.certificate)).transpose()?,
            key: client.map(|files| read(&files.key)).transpose()?.map(Into::into),
        })
    }

    /// Of them and of the roots. A certificate that was replaced under the same name is another one.
    pub fn digest(&self, roots: &Roots) -> TlsDigest {
        let key = self.key.as_ref().map(ExposeSecret::expose_secret);
        let mut digest = roots.digest.clone();
        for file in [self.ca.as_deref(), self.certificate.as_deref(), key] {
            digest.update([u8::from(file.is_some())]);
            digest.update(Sha256::digest(file.unwrap_or_default()));
        }
        digest.finalize().into()
    }
}

/// TLS toward one upstream, shared by all workers so that sessions resume.
#[derive(Debug, Clone)]
pub struct ClientTls {
    config: Arc<ClientConfig>,
    identity: Arc<Identity>,
}

impl ClientTls {
    /// TLS 1.2 at least; no early data, since a POST must not be replayed.
    ///
    /// # Errors
    /// One of the files cannot be used.
    pub fn new(
        roots: &Roots,
        upstream: &config::Upstream,
        files: &TlsFiles,
    ) -> Result<Self, TlsError> {
        let mut store = roots.store.clone();
        let mut own = Vec::new();
        if let (Some(path), Some(pem)) = (&upstream.ca_file, &files.ca) {
            own = certificates(path, pem)?;
            for certificate in &own {
                store.add(certificate.clone()).map_err(TlsError::Rustls)?;
            }
        }
        let provider = Arc::new(provider());
        let identity = Arc::new(Identity::new(shown(upstream, files, &provider)?));
        let pins = upstream.tls.pins.clone();
        let verifier = Verifier::new(store, own, pins, Arc::clone(&provider));
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(TlsError::Rustls)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_client_cert_resolver(Arc::clone(&identity) as _);
        config.alpn_protocols = match upstream.protocol {
            Protocol::Auto => vec![b"h2".to_vec(), b"http/1.1".to_vec()],
            Protocol::Http1 => vec![b"http/1.1".to_vec()],
            Protocol::Http2 => vec![b"h2".to_vec()],
        };
        Ok(Self { config: Arc::new(config), identity })
    }

    /// For handshakes.
    pub fn config(&self) -> &Arc<ClientConfig> {
        &self.config
    }

    /// The upstream asks for a client certificate. Over TLS 1.3 it says only after the handshake whether it
    /// takes what it was shown (RFC 8446, section 4.4.2.4).
    pub fn judges_us(&self) -> bool {
        self.identity.was_asked()
    }

    /// What it means that the upstream refused what it was shown.
    pub fn verdict(&self) -> Cause {
        if self.identity.is_known() {
            Cause::TlsCertificateRefused
        } else {
            Cause::TlsCertificateDemanded
        }
    }

    /// Why a handshake failed, or the connection just after it.
    pub fn cause(&self, error: &io::Error) -> Cause {
        let cause = Cause::of_tls(error);
        let vague = [Cause::TlsNoCommonVersion, Cause::TlsCertificateRefused, Cause::TlsAlert];
        let nobody = self.identity.was_asked() && !self.identity.is_known();
        if nobody && vague.contains(&cause) { self.verdict() } else { cause }
    }
}

fn certificates(path: &Path, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let all = all.map_err(|error| TlsError::Pem(path.to_owned(), error))?;
    if all.is_empty() { Err(TlsError::Empty(path.to_owned())) } else { Ok(all) }
}

/// The client certificate, where one is configured.
fn shown(
    upstream: &config::Upstream,
    files: &TlsFiles,
    provider: &rustls::crypto::CryptoProvider,
) -> Result<Option<CertifiedKey>, TlsError> {
    let (Some(paths), Some(pem), Some(key)) =
        (&upstream.tls.client, &files.certificate, &files.key)
    else {
        return Ok(None);
    };
    let chain = certificates(&paths.certificate, pem)?;
    let key = PrivateKeyDer::from_pem_slice(key.expose_secret())
        .map_err(|error| TlsError::Pem(paths.key.clone(), error))?;
    CertifiedKey::from_der(chain, key, provider)
        .map(Some)
        .map_err(|error| TlsError::Key(paths.key.clone(), error))
}

/// aws-lc-rs with AES-128-GCM first: the cheapest cipher per byte where the processor has AES.
pub(super) fn provider() -> rustls::crypto::CryptoProvider {
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
