//! What proves who a client is: the digest of a key, or a name in a certificate.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::path::Path;

use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::config::file::env::ProcessEnv;
use crate::config::file::fault::Complaint;
use crate::config::key::Key;
use crate::config::kind::many::Many;
use crate::config::kind::secret::read_key;
use crate::config::kind::{Around, Kind};

pub(super) static CERTIFICATE: Key<Many<SanText>> = Key::new(
    "certificate",
    Many(SanText),
    "Name in a client certificate that stands for this client where no key is sent: one of its subject \
     alternative names (`DNS:NAME` or `URI:spiffe://…`). It needs a listener with `tls.client_ca`.",
);

/// Shorter keys can be guessed.
const SHORT: usize = 20;

/// What is said of those.
pub(super) const TOO_SHORT: &str = "has fewer than 20 characters, and can be guessed";

/// Whether it can be guessed.
pub(super) fn is_short(key: &SecretString) -> bool {
    key.expose_secret().len() < SHORT
}

/// The SHA-256 of a client's key. Keys are random: who reads it learns nothing that helps to find them.
#[derive(Clone, Copy, Eq)]
pub struct KeyDigest(pub [u8; 32]);

/// In constant time, so that no digest can be found byte by byte.
impl PartialEq for KeyDigest {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Hash for KeyDigest {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write(&self.0);
    }
}

impl KeyDigest {
    /// Of a key.
    pub fn of(key: &[u8]) -> Self {
        Self(Sha256::digest(key).into())
    }

    /// Of a key as it was typed or piped: read as the configuration reads `key`. And what is to be said of it though
    /// it can be used; neither that nor an error quotes the key.
    ///
    /// # Errors
    /// No header can carry it.
    pub fn of_text(text: &str) -> Result<(Self, Vec<String>), String> {
        let told = |Complaint { what, hint, .. }: Complaint| match &*hint {
            "" => format!("the key {what}"),
            hint => format!("the key {what}; {hint}"),
        };
        let line = text.strip_suffix('\n').map_or(text, |line| line.trim_end_matches('\r'));
        let around = Around::new(&ProcessEnv, Path::new(""));
        let key = read_key(line, &around).map_err(told)?;
        let mut remarks: Vec<_> = around.take_remarks().into_iter().map(told).collect();
        if is_short(&key) {
            remarks.push(format!("the key {TOO_SHORT}"));
        }
        Ok((Self::of(key.expose_secret().as_bytes()), remarks))
    }

    /// Of 64 hexadecimal digits.
    fn parse(text: &str) -> Option<Self> {
        let (mut digest, bytes) = ([0; 32], text.as_bytes());
        if bytes.len() != 64 {
            return None;
        }
        for (byte, pair) in digest.iter_mut().zip(bytes.chunks_exact(2)) {
            let digit = |nth: usize| char::from(pair[nth]).to_digit(16);
            *byte = u8::try_from(digit(0)? << 4 | digit(1)?).ok()?;
        }
        Some(Self(digest))
    }
}

impl fmt::Display for KeyDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for KeyDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What a client proved itself by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Proof {
    /// A key with this digest.
    Key(KeyDigest),
    /// A name in its certificate.
    Certificate(Box<str>),
}

/// A digest in hexadecimal.
pub(super) struct DigestText;

impl Kind for DigestText {
    type Value = Option<KeyDigest>;

    fn read(&self, text: &str, _: &Around<'_>) -> Result<Option<KeyDigest>, Complaint> {
        // Whoever pastes the key itself should not find it in a log.
        KeyDigest::parse(text).map(Some).ok_or_else(|| {
            let hint = "write the 64 digits that `firstbyte key new NAME` or `printf %s KEY | sha256sum` print";
            Complaint::about_a_secret("is not a SHA-256 in hexadecimal", hint)
        })
    }

    fn absent(&self) -> Option<KeyDigest> {
        None
    }

    fn name(&self) -> String {
        "SHA-256 in hexadecimal".into()
    }

    fn default_text(&self) -> Option<String> {
        None
    }

    fn schema(&self) -> Value {
        json!({ "type": "string", "pattern": "^[0-9a-fA-F]{64}$|\\$\\{" })
    }
}

/// A subject alternative name with its kind.
pub(super) struct SanText;

impl Kind for SanText {
    type Value = Option<String>;

    fn read(&self, text: &str, _: &Around<'_>) -> Result<Option<String>, Complaint> {
        let is_name = match text.split_once(':') {
            Some(("DNS", name)) => !name.is_empty() && !name.contains('*'),
            Some(("URI", uri)) => uri.contains(':'),
            _ => false,
        };
        if !is_name || text.bytes().any(|byte| !byte.is_ascii_graphic()) {
            let hint = "write it like DNS:app.internal or URI:spiffe://cluster.local/ns/a/sa/b";
            // As for a digest: the line beside it is the key's.
            return Err(Complaint::about_a_secret("is not a subject alternative name", hint));
        }
        // Names of hosts are the same in any case; URIs are not (RFC 5280, section 7).
        let lower =
            text.starts_with("DNS:").then(|| format!("DNS:{}", text[4..].to_ascii_lowercase()));
        Ok(Some(lower.unwrap_or_else(|| text.to_owned())))
    }

    fn absent(&self) -> Option<String> {
        None
    }

    fn name(&self) -> String {
        "`DNS:NAME` or `URI:URI`".into()
    }

    fn default_text(&self) -> Option<String> {
        None
    }

    fn schema(&self) -> Value {
        json!({ "type": "string", "pattern": "^(DNS|URI):.+|\\$\\{" })
    }
}
