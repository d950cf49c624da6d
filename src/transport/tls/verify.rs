//! Whether an upstream's certificate is trusted, and if not, why in words for the operator.
//!
//! Three ways lead to trust:
//!
//! - A pin (`pin_sha256`): the server has the key that the operator named. Like an SSH host key, or TLSA's usage 3
//!   (RFC 7671, section 5.1), that stands for authority, names and dates together.
//! - The server's own certificate in `ca_file`: its names and dates still count. A self-signed certificate made by
//!   `openssl req -x509` says that it is an authority, and as such is refused for a server by the rules for chains.
//! - A chain to an authority that is trusted.

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use base64::Engine;
use base64::prelude::BASE64_STANDARD as BASE64;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError, DigitallySignedStruct, Error, OtherError, RootCertStore, SignatureScheme,
};
use sha2::{Digest, Sha256};

use crate::config::Pin;
use crate::error::{Cause, Distrust};

/// What one upstream's certificate is judged by.
#[derive(Debug)]
pub(super) struct Verifier {
    /// `None` where no authority is trusted.
    chains: Option<Arc<WebPkiServerVerifier>>,
    /// Those of `ca_file`.
    own: Vec<CertificateDer<'static>>,
    pins: Vec<Pin>,
    provider: Arc<CryptoProvider>,
}

impl Verifier {
    pub(super) fn new(
        roots: RootCertStore,
        own: Vec<CertificateDer<'static>>,
        pins: Vec<Pin>,
        provider: Arc<CryptoProvider>,
    ) -> Self {
        let builder = |roots| {
            WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
        };
        // It fails only where there is no root.
        let chains = builder(roots).build().ok();
        Self { chains, own, pins, provider }
    }

    fn judge(
        &self,
        certificate: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        now: UnixTime,
    ) -> Result<(), Error> {
        let parsed = ParsedCertificate::try_from(certificate)?;
        if !self.pins.is_empty() {
            let pinned = self.pins.contains(&pin(&parsed));
            return if pinned { Ok(()) } else { Err(mismatch(&parsed)) };
        }
        let Some(chains) = &self.chains else { return Err(CertificateError::UnknownIssuer.into()) };
        match chains.verify_server_cert(certificate, others, name, &[], now) {
            Ok(_) => Ok(()),
            // The dates were looked at before this was found: the signature is its own, and nobody's to check.
            Err(error) if is_authority(&error) && self.own.contains(certificate) => {
                rustls::client::verify_server_name(&parsed, name)
            }
            Err(error) => Err(error),
        }
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        _stapled: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.judge(certificate, others, name, now)
            .map(|()| ServerCertVerified::assertion())
            .map_err(|error| explained(error, certificate, name))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let known = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, known)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let known = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, known)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// The hash of its public key, as `pin_sha256` has it (RFC 7469, section 2.4).
fn pin(certificate: &ParsedCertificate<'_>) -> Pin {
    Pin(Sha256::digest(certificate.subject_public_key_info()).into())
}

fn mismatch(certificate: &ParsedCertificate<'_>) -> Error {
    let why = format!(
        "the server's key has the pin {}, which is not in pin_sha256",
        BASE64.encode(pin(certificate).0)
    );
    distrust(Cause::TlsPinMismatch, why)
}

fn is_authority(error: &Error) -> bool {
    let Error::InvalidCertificate(why) = error else { return false };
    Cause::of_certificate(why) == Cause::TlsCaAsServer
}

fn distrust(cause: Cause, why: String) -> Error {
    CertificateError::Other(OtherError(Arc::new(Distrust { cause, why }))).into()
}

/// The same error with what the operator needs to know, and to write.
fn explained(error: Error, certificate: &CertificateDer<'_>, name: &ServerName<'_>) -> Error {
    let Error::InvalidCertificate(why) = &error else { return error };
    let cause = Cause::of_certificate(why);
    let pin = || {
        let parsed = ParsedCertificate::try_from(certificate);
        parsed.map_or_else(|_| "…".to_owned(), |parsed| BASE64.encode(pin(&parsed).0))
    };
    let name = name.to_str();
    let text = match (cause, why) {
        (_, CertificateError::ExpiredContext { not_after, .. }) => {
            format!("the certificate expired on {}", date(*not_after))
        }
        (_, CertificateError::NotValidYetContext { not_before, .. }) => {
            format!("the certificate is valid from {} on", date(*not_before))
        }
        (Cause::TlsNoNames, _) => format!(
            "the certificate has no subjectAltName; if you trust this server, write `pin_sha256: {}`",
            pin()
        ),
        (_, CertificateError::NotValidForNameContext { presented, .. }) => format!(
            "the certificate is for {}, not for {name}; if that is right, set server_name to its name",
            presented.join(", ")
        ),
        (Cause::TlsUnknownAuthority, _) => format!(
            "no trusted authority has signed the certificate; set ca_file to its authority's certificate, or \
             to its own if it is self-signed; or, if you trust this server, write `pin_sha256: {}`",
            pin()
        ),
        (Cause::TlsCaAsServer, _) => format!(
            "the certificate is an authority's own (basicConstraints CA:TRUE); put it into ca_file; or, if \
             you trust this server, write `pin_sha256: {}`",
            pin()
        ),
        _ => return error,
    };
    distrust(cause, text)
}

fn date(at: UnixTime) -> String {
    httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(at.as_secs()))
}
