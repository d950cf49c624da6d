//! A certificate and its private key, as their files have them.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use rustls::{Error, InconsistentKeys, SignatureAlgorithm};

use super::validity::validity;

/// A certificate with its chain and its key, checked to belong together. Its `Debug` shows no key.
#[derive(Debug, Clone)]
pub struct Pair {
    /// The certificate's file.
    pub certificate: PathBuf,
    /// From when it holds.
    pub begins: SystemTime,
    /// Until when it holds.
    pub expires: SystemTime,
    /// What a handshake needs.
    pub key: std::sync::Arc<CertifiedKey>,
}

/// By what clients see: keys that fit one certificate are the same.
impl PartialEq for Pair {
    fn eq(&self, other: &Self) -> bool {
        self.certificate == other.certificate && self.key.cert == other.key.cert
    }
}

impl Eq for Pair {}

/// Which of the two files is at fault.
pub(super) enum Fault {
    Certificate(String, String),
    Key(String, String),
}

impl Pair {
    /// Of a PEM file with the certificate first and its chain behind it, and one with its key.
    pub(super) fn new(
        (certificate, chain): &(PathBuf, Vec<u8>),
        (key_file, key): &(PathBuf, Vec<u8>),
    ) -> Result<Self, Fault> {
        let of_chain =
            |what: &str, hint: &str| Fault::Certificate(named(certificate, what), hint.to_owned());
        let of_key = |what: &str, hint: &str| Fault::Key(named(key_file, what), hint.to_owned());
        let chain = CertificateDer::pem_slice_iter(chain).collect::<Result<Vec<_>, _>>();
        let chain =
            chain.map_err(|error| of_chain(&format!("is not PEM: {error}"), "check the file"))?;
        let first = chain.first();
        let first = first.ok_or_else(|| {
            of_chain("contains no certificate", "write the file that has the full chain")
        })?;
        let (begins, expires) = validity(first)
            .ok_or_else(|| of_chain("holds something that is no X.509 certificate", ""))?;
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| {
            let hint = "write the file of the key, not encrypted; `openssl pkey -in FILE` decrypts";
            of_key("contains no private key that can be read", hint)
        })?;
        let key = CertifiedKey::from_der(chain, key, &default_provider()).map_err(|error| {
            if matches!(error, Error::InconsistentKeys(InconsistentKeys::KeyMismatch)) {
                let hint = format!(
                    "the first certificate in {} must be the one that this key was made for",
                    certificate.display()
                );
                of_key("is not the key of the certificate", &hint)
            } else {
                let hint = "use an ECDSA (P-256, P-384), Ed25519 or RSA (2048 to 8192 bits) key";
                of_key(&format!("can't be used: {error}"), hint)
            }
        })?;
        let (certificate, key) = (certificate.clone(), std::sync::Arc::new(key));
        Ok(Self { certificate, begins, expires, key })
    }

    /// Whether a signature takes so long that other connections would wait for it.
    pub fn is_slow(&self) -> bool {
        self.key.key.algorithm() == SignatureAlgorithm::RSA
    }
}

fn named(file: &Path, what: &str) -> String {
    format!("names the file {}, which {what}", file.display())
}
