//! A certificate authority of a test's own.

use std::fs;
use std::path::Path;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, PKCS_RSA_SHA256, RsaKeySize,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// An authority. What it issues has the authority's own certificate behind it, as a chain.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate with its key.
pub(crate) struct Issued {
    /// The certificate, then its authority's.
    pub(crate) chain: String,
    pub(crate) key: String,
    pub(crate) certificate: CertificateDer<'static>,
    key_der: Vec<u8>,
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        Self(CertifiedIssuer::self_signed(params, key).expect("a certificate"))
    }

    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }

    pub(crate) fn certificate(&self) -> CertificateDer<'static> {
        self.0.der().clone()
    }

    /// For a server of these names, with an ECDSA key.
    pub(crate) fn server(&self, names: &[&str]) -> Issued {
        self.issue(names, &KeyPair::generate().expect("a key"), |_| {})
    }

    /// The same with an RSA key of 2,048 bits.
    pub(crate) fn rsa_server(&self, names: &[&str]) -> Issued {
        let key = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048);
        self.issue(names, &key.expect("a key"), |_| {})
    }

    /// For a client.
    pub(crate) fn client(&self, name: &str) -> Issued {
        let key = KeyPair::generate().expect("a key");
        self.issue(&[name], &key, |params| {
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        })
    }

    /// For a server of these names, otherwise changed.
    pub(crate) fn issue(
        &self,
        names: &[&str],
        key: &KeyPair,
        change: impl FnOnce(&mut CertificateParams),
    ) -> Issued {
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).expect("names");
        params.distinguished_name.push(DnType::CommonName, "issued");
        change(&mut params);
        let certificate = params.signed_by(key, &self.0).expect("a certificate");
        Issued {
            chain: certificate.pem() + &self.pem(),
            key: key.serialize_pem(),
            key_der: key.serialize_der(),
            certificate: certificate.der().clone(),
        }
    }
}

impl Issued {
    /// As files of this name: `NAME.pem` and `NAME.key`.
    pub(crate) fn write(&self, folder: &Path, name: &str) {
        fs::write(folder.join(format!("{name}.pem")), &self.chain).expect("a file");
        fs::write(folder.join(format!("{name}.key")), &self.key).expect("a file");
    }

    pub(crate) fn key(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::Pkcs8(self.key_der.clone().into())
    }
}
