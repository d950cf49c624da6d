//! Certificates made at start, and TLS configurations that trust exactly them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose,
    SanType,
};
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs as provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore, ServerConfig};

/// ALPN name of HTTP/2 (RFC 9113, section 3.2).
pub const H2: &[u8] = b"h2";
/// ALPN name of HTTP/1.1 (RFC 7301, section 6).
pub const HTTP_1_1: &[u8] = b"http/1.1";

/// Why a TLS configuration could not be made.
#[derive(Debug)]
pub enum TlsError {
    /// The certificate could not be generated.
    Generate(rcgen::Error),
    /// The PEM text holds no usable certificate.
    Pem(String),
    /// rustls refused the configuration.
    Config(rustls::Error),
}

impl std::fmt::Display for TlsError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Generate(_) => f.write_str("the certificate could not be generated"),
            Self::Pem(why) => write!(f, "the PEM text contains no usable certificate: {why}"),
            Self::Config(_) => f.write_str("the TLS configuration was rejected"),
        }
    }
}

impl std::error::Error for TlsError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Generate(error) => Some(error),
            Self::Pem(_) => None,
            Self::Config(error) => Some(error),
        }
    }
}

impl From<TlsError> for std::io::Error {
    fn from(error: TlsError) -> Self {
        Self::other(error)
    }
}

impl From<rcgen::Error> for TlsError {
    fn from(error: rcgen::Error) -> Self {
        Self::Generate(error)
    }
}

impl From<rustls::Error> for TlsError {
    fn from(error: rustls::Error) -> Self {
        Self::Config(error)
    }
}

/// The aws-lc-rs provider, named explicitly so that nothing depends on a process-wide default.
/// AES-128-GCM comes first: it is the cheapest suite on machines that have AES instructions.
pub fn provider() -> Arc<CryptoProvider> {
    let mut chosen = provider::default_provider();
    chosen
        .cipher_suites
        .sort_by_key(|suite| suite.suite() != rustls::CipherSuite::TLS13_AES_128_GCM_SHA256);
    Arc::new(chosen)
}

/// What is odd about a server certificate; the default is a good one.
#[derive(Clone, Debug, Default)]
pub struct CertificateSpec {
    /// DNS names instead of `localhost` and the loopback addresses.
    pub names: Option<Vec<String>>,
    /// Its validity ended in the year 2001.
    pub expired: bool,
}

/// A certificate authority made at start and a leaf that it signed.
#[derive(Debug)]
pub struct Identity {
    ca_pem: String,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

impl Identity {
    /// Makes a new authority and a leaf as `spec` says. Nothing is written to disk.
    pub fn generate(spec: &CertificateSpec) -> Result<Self, TlsError> {
        let mut ca = CertificateParams::new(Vec::new())?;
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        ca.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        ca.distinguished_name.push(DnType::CommonName, "firstbyte mock authority");
        let issuer = CertifiedIssuer::self_signed(ca, KeyPair::generate()?)?;

        let mut leaf = CertificateParams::new(
            spec.names.clone().unwrap_or_else(|| vec!["localhost".to_owned()]),
        )?;
        if spec.names.is_none() {
            leaf.subject_alt_names.push(SanType::IpAddress(IpAddr::V4(Ipv4Addr::LOCALHOST)));
            leaf.subject_alt_names.push(SanType::IpAddress(IpAddr::V6(Ipv6Addr::LOCALHOST)));
        }
        if spec.expired {
            leaf.not_before = rcgen::date_time_ymd(2000, 1, 1);
            leaf.not_after = rcgen::date_time_ymd(2001, 1, 1);
        }
        leaf.distinguished_name.push(DnType::CommonName, "firstbyte mock upstream");
        let key = KeyPair::generate()?;
        let certificate = leaf.signed_by(&key, &issuer)?;
        Ok(Self {
            ca_pem: issuer.pem(),
            chain: vec![certificate.der().clone()],
            key: PrivateKeyDer::try_from(key.serialize_der())
                .map_err(|why| TlsError::Pem(why.to_owned()))?,
        })
    }

    /// The authority's certificate in PEM, to be trusted by clients.
    pub fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// A server configuration that offers `alpn` in this order; empty means that ALPN is not answered.
    pub fn server_config(&self, alpn: &[&[u8]]) -> Result<Arc<ServerConfig>, TlsError> {
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(self.chain.clone(), self.key.clone_key())?;
        config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
        Ok(Arc::new(config))
    }
}

/// A client configuration that trusts only the certificates in `ca_pem` and offers `alpn` in this order.
/// Certificates are always verified; there is no way to switch that off. Resumption is on.
pub fn client_config(ca_pem: &str, alpn: &[&[u8]]) -> Result<Arc<ClientConfig>, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(ca_pem.as_bytes()) {
        roots.add(certificate.map_err(|why| TlsError::Pem(why.to_string()))?)?;
    }
    if roots.is_empty() {
        return Err(TlsError::Pem("it is empty".to_owned()));
    }
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    Ok(Arc::new(config))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_authority_can_be_trusted_and_rubbish_cannot() {
        let identity = Identity::generate(&CertificateSpec::default()).unwrap();
        assert!(client_config(identity.ca_pem(), &[H2]).is_ok());
        assert!(matches!(client_config("rubbish", &[H2]), Err(TlsError::Pem(_))));
    }

    #[test]
    fn the_private_key_is_not_in_what_clients_are_given() {
        let identity = Identity::generate(&CertificateSpec::default()).unwrap();
        assert!(!identity.ca_pem().contains("PRIVATE"));
    }
}
