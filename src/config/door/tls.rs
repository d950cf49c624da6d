//! `listen[].tls`: TLS toward clients.

use std::sync::Arc;

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::pair::{Fault, Pair};
use crate::config::key::reader::{Fields, Reader};
use crate::config::key::{Key, Section, Shape};
use crate::config::kind::many::Many;
use crate::config::kind::optional::Optional;
use crate::config::kind::pem::{PathAndPem, PemFile};
use crate::config::kind::scalar::Choice;

pub(super) static TLS: Section = Section {
    name: "tls",
    shape: Shape::One,
    required: false,
    doc: "TLS toward clients: versions 1.2 and 1.3, HTTP/2 and HTTP/1.1 by ALPN. A reload reads the \
        files again; if one is faulty, the old certificates stay in use.",
    entries: &[&CERTIFICATE, &PRIVATE_KEY, &CLIENT_CA, &CLIENT_AUTH],
};

static CERTIFICATE: Key<Many<PemFile>> = Key::required(
    "certificate",
    Many(PemFile),
    "PEM file with the certificate and its chain, the server's own first. Of several files, the \
     name that the client asks for (SNI) selects one; the first serves every other name.",
);

static PRIVATE_KEY: Key<Many<PemFile>> = Key::required(
    "private_key",
    Many(PemFile),
    "PEM file with the certificate's private key: ECDSA, Ed25519 or RSA, not encrypted. For \
     several certificates, one key each, in the same order.",
);

static CLIENT_CA: Key<Optional<PemFile>> = Key::new(
    "client_ca",
    Optional(PemFile),
    "PEM file of the authorities that sign client certificates (mutual TLS). Sessions are then not \
     resumed, so that every connection is verified.",
);

static CLIENT_AUTH: Key<Choice<bool>> = Key::new(
    "client_auth",
    Choice { of: &[("required", true), ("optional", false)], default: true },
    "With `client_ca`. `required`: reject clients without a certificate. `optional`: accept them, \
     and verify a certificate if there is one.",
);

/// How clients speak TLS on one listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenerTls {
    /// At least one; the first serves names that no other has.
    pub pairs: Vec<Pair>,
    /// Who signs clients' certificates, where they are asked for.
    pub clients: Option<ClientCertificates>,
}

/// What is asked of clients.
#[derive(Debug, Clone)]
pub struct ClientCertificates {
    /// Their authorities.
    pub roots: Arc<RootCertStore>,
    /// Whether a client without a certificate is rejected.
    pub required: bool,
}

impl PartialEq for ClientCertificates {
    fn eq(&self, other: &Self) -> bool {
        self.required == other.required && self.roots.roots == other.roots.roots
    }
}

impl Eq for ClientCertificates {}

impl ListenerTls {
    pub(super) fn read(reader: &mut Reader<'_>, listener: &Fields<'_>) -> Option<Self> {
        if !listener.has(TLS.name) {
            return None;
        }
        let fields = reader.section(listener, &TLS);
        let certificates = files(reader, &fields, &CERTIFICATE);
        let keys = files(reader, &fields, &PRIVATE_KEY);
        let clients = clients(reader, &fields);
        if certificates.is_empty() || keys.is_empty() {
            return None; // a fault already
        }
        if certificates.len() != keys.len() {
            let (some, others) = (keys.len(), certificates.len());
            let what = format!("has {some} files, and `certificate` has {others}");
            reader.fault_in(&fields, &PRIVATE_KEY, what, "write one key for each certificate");
            return None;
        }
        let mut pairs = Vec::with_capacity(keys.len());
        for (certificate, key) in certificates.iter().zip(&keys) {
            match Pair::new(certificate, key) {
                Ok(pair) => pairs.push(pair),
                Err(Fault::Certificate(what, hint)) => {
                    reader.fault_in(&fields, &CERTIFICATE, what, hint);
                }
                Err(Fault::Key(what, hint)) => reader.fault_in(&fields, &PRIVATE_KEY, what, hint),
            }
        }
        Some(Self { pairs, clients })
    }
}

fn files(
    reader: &mut Reader<'_>,
    fields: &Fields<'_>,
    key: &Key<Many<PemFile>>,
) -> Vec<PathAndPem> {
    reader.get_many(fields, key).into_iter().filter_map(|(_, file)| file).collect()
}

fn clients(reader: &mut Reader<'_>, fields: &Fields<'_>) -> Option<ClientCertificates> {
    let required = reader.get(fields, &CLIENT_AUTH);
    if fields.has(CLIENT_AUTH.name) && !fields.has(CLIENT_CA.name) {
        let hint = "add client_ca, or remove the line";
        reader.fault_in(fields, &CLIENT_AUTH, "has no effect without `client_ca`", hint);
    }
    let (path, pem) = reader.get(fields, &CLIENT_CA).flatten()?;
    let mut roots = RootCertStore::empty();
    let added = CertificateDer::pem_slice_iter(&pem).try_for_each(|certificate| {
        let certificate = certificate.map_err(|error| format!("is not PEM: {error}"))?;
        roots.add(certificate).map_err(|error| format!("can't be used: {error}"))
    });
    let wrong = match added {
        Ok(()) if roots.is_empty() => Some("contains no certificate".to_owned()),
        added => added.err(),
    };
    if let Some(wrong) = wrong {
        let what = format!("names the file {}, which {wrong}", path.display());
        reader.fault_in(fields, &CLIENT_CA, what, "write the file of the authority's certificate");
        return None;
    }
    Some(ClientCertificates { roots: Arc::new(roots), required })
}
