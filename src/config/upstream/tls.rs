//! `upstreams.NAME`: what an upstream is trusted by over TLS, and what it is shown.

use std::fmt;
use std::path::PathBuf;

use base64::Engine;
use base64::prelude::BASE64_STANDARD as BASE64;
use serde_json::{Value, json};

use crate::config::file::fault::Complaint;
use crate::config::key::Key;
use crate::config::key::reader::{Fields, Reader};
use crate::config::kind::many::Many;
use crate::config::kind::pem::PemFile;
use crate::config::kind::{Around, Kind};

use super::url::{Scheme, host_and_port};

pub(super) static CA_FILE: Key<PemFile> = Key::new(
    "ca_file",
    PemFile,
    "File of additional trusted certificates (PEM), for this upstream only: its authority's, or the \
     server's own if it is self-signed.",
);

pub(super) static SERVER_NAME: Key<ServerNameText> = Key::new(
    "server_name",
    ServerNameText,
    "Name that the server's certificate must have, and that is sent as SNI, in place of the URL's \
     host.",
);

pub(super) static CLIENT_CERTIFICATE: Key<PemFile> = Key::new(
    "client_certificate",
    PemFile,
    "File of the certificate, and its chain, that the upstream is shown if it asks for one (PEM). \
     It needs `client_key`.",
);

pub(super) static CLIENT_KEY: Key<PemFile> =
    Key::new("client_key", PemFile, "File of the private key of `client_certificate` (PEM).");

pub(super) static PIN_SHA256: Key<Many<PinText>> = Key::new(
    "pin_sha256",
    Many(PinText),
    "Base64 of the SHA-256 of the server's public key, as curl's `--pinnedpubkey`. If set, a server \
     with one of these keys is trusted, and no other: authority, names and dates are not checked.",
);

/// What an upstream is trusted by and shown, beside `ca_file`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UpstreamTls {
    /// In place of the URL's host.
    pub server_name: Option<String>,
    /// Shown if the server asks.
    pub client: Option<ClientFiles>,
    /// If there are any, they alone decide.
    pub pins: Vec<Pin>,
}

/// A certificate of ours and its key, both PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientFiles {
    /// The certificate and what leads to its authority.
    pub certificate: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

/// The SHA-256 of a public key (its `SubjectPublicKeyInfo`; RFC 7469, section 2.4). No secret.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Pin(pub [u8; 32]);

impl fmt::Debug for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&BASE64.encode(self.0))
    }
}

impl UpstreamTls {
    /// `scheme`: of the URL, where there is a valid one.
    pub(super) fn read(
        reader: &mut Reader<'_>,
        fields: &Fields<'_>,
        scheme: Option<Scheme>,
    ) -> Self {
        let server_name = reader.get(fields, &SERVER_NAME);
        let certificate = reader.get(fields, &CLIENT_CERTIFICATE).map(|(path, _)| path);
        let key = reader.get(fields, &CLIENT_KEY).map(|(path, _)| path);
        let pins = reader.get_many(fields, &PIN_SHA256);
        let pins = pins.into_iter().filter_map(|(_, pin)| pin).collect();
        let written = |name: &str| fields.has(name);
        for (one, other) in [(&CLIENT_CERTIFICATE, &CLIENT_KEY), (&CLIENT_KEY, &CLIENT_CERTIFICATE)]
        {
            if written(one.name) && !written(other.name) {
                let what = format!("needs `{}`, and there is none", other.name);
                reader.fault_in(fields, one, what, "add the key, or remove the line");
            }
        }
        if scheme == Some(Scheme::Http) {
            let names = [
                CA_FILE.name,
                SERVER_NAME.name,
                CLIENT_CERTIFICATE.name,
                CLIENT_KEY.name,
                PIN_SHA256.name,
            ];
            for name in names.into_iter().filter(|name| written(name)) {
                let hint = "write https:// in the URL, or remove the line";
                let what = "has no effect with an http:// URL";
                reader.fault(fields.at(name), &*fields.path_of(name), what, hint);
            }
        }
        let client =
            certificate.zip(key).map(|(certificate, key)| ClientFiles { certificate, key });
        Self { server_name, client, pins }
    }
}

/// A DNS name or an address.
pub(in crate::config) struct ServerNameText;

impl Kind for ServerNameText {
    type Value = Option<String>;

    fn read(&self, text: &str, _: &Around<'_>) -> Result<Option<String>, Complaint> {
        if text.contains("://") || text.contains('/') {
            let hint = "write the name alone, such as api.example.com";
            return Err(Complaint::new("is a URL, not a name", hint));
        }
        match host_and_port(text)? {
            (name, None) => Ok(Some(name.to_owned())),
            (_, Some(_)) => Err(Complaint::new("has a port", "write the name alone")),
        }
    }

    fn absent(&self) -> Option<String> {
        None
    }

    fn name(&self) -> String {
        "host name".into()
    }

    fn default_text(&self) -> Option<String> {
        None
    }

    fn schema(&self) -> Value {
        json!({ "type": "string", "minLength": 1 })
    }
}

/// One pin. `sha256//`, which curl writes before it, may stand there.
pub(in crate::config) struct PinText;

impl Kind for PinText {
    type Value = Option<Pin>;

    fn read(&self, text: &str, _: &Around<'_>) -> Result<Option<Pin>, Complaint> {
        let bare = text.strip_prefix("sha256//").or_else(|| text.strip_prefix("sha256/"));
        let bytes =
            BASE64.decode(bare.unwrap_or(text)).ok().and_then(|bytes| bytes.try_into().ok());
        let hex = text.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b':');
        match bytes {
            Some(bytes) => Ok(Some(Pin(bytes))),
            None if hex && text.len() >= 64 => Err(Complaint::new(
                "is in hex, as fingerprints of certificates are",
                "write the Base64 of the public key's SHA-256; the log shows it when a server is \
                 not trusted",
            )),
            None => Err(Complaint::new(
                "is not the Base64 of a SHA-256",
                "it has 44 characters and ends with `=`",
            )),
        }
    }

    fn absent(&self) -> Option<Pin> {
        None
    }

    fn name(&self) -> String {
        "Base64 of a SHA-256".into()
    }

    fn default_text(&self) -> Option<String> {
        None
    }

    fn schema(&self) -> Value {
        json!({ "type": "string", "pattern": "^(sha256//?)?[A-Za-z0-9+/]{43}=$|\\$\\{" })
    }
}
