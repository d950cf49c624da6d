//! `privacy`: what names end users, and under what the access log hides it.

use http::HeaderName;
use secrecy::{ExposeSecret, SecretString};

use super::access_log::AccessLog;
use super::key::reader::{Fields, Reader};
use super::key::{Key, Section, Shape};
use super::kind::header::AnyName;
use super::kind::many::Many;
use super::kind::secret::Secret;
use super::log_format::{LogField, LogFormat};

/// Each is looked for in each request.
const MOST_HEADERS: usize = 16;

/// Half of what the hash gives (RFC 2104, section 3, wants all of it): from a shorter salt and one user whose hash is
/// known, all others can be found.
const SHORTEST_SALT: usize = 16;

pub(super) static PRIVACY: Section = Section {
    name: "privacy",
    shape: Shape::One,
    required: false,
    doc: "Request headers that name end users. The access log has their values only as a hash, in its \
          field `hashed`; they are forwarded unchanged.",
    entries: &[&HASH_HEADERS, &SALT],
};

static HASH_HEADERS: Key<Many<AnyName>> = Key::required(
    "hash_headers",
    // Also those that the proxy writes itself: `x-forwarded-user` names a user.
    Many(AnyName { hint: "write it like x-user-id" }),
    "Names of the headers. `x-request-id` and `traceparent` are then logged in no other way either.",
);

static SALT: Key<Secret> = Key::required(
    "salt",
    Secret,
    "Secret under which they are hashed (HMAC-SHA-256), of 16 bytes or more. Another salt makes other hashes of \
     the same users.",
);

/// What names end users, and the secret that hides it. Its `Debug` shows no secret.
#[derive(Debug, Clone)]
pub struct Privacy {
    /// Request headers, each once.
    pub hash_headers: Vec<HeaderName>,
    /// At least 16 bytes.
    pub salt: SecretString,
}

impl Privacy {
    pub(super) fn read(
        reader: &mut Reader<'_>,
        root: &Fields<'_>,
        log: (&AccessLog, &LogFormat),
    ) -> Option<Self> {
        if !root.has(PRIVACY.name) {
            return None;
        }
        let fields = reader.section(root, &PRIVACY);
        let path = fields.path_of(HASH_HEADERS.name);
        let mut hash_headers = Vec::new();
        for (at, name) in reader.get_many(&fields, &HASH_HEADERS) {
            let Some(name) = name else { continue };
            if hash_headers.contains(&name) {
                reader.fault(at, &*path, format!("names `{name}` twice"), "remove one of them");
            }
            hash_headers.push(name);
        }
        if hash_headers.len() > MOST_HEADERS {
            let what = format!("has more than {MOST_HEADERS} headers");
            reader.fault_in(&fields, &HASH_HEADERS, what, "remove some");
        }
        let salt = reader.get(&fields, &SALT)?;
        if salt.expose_secret().len() < SHORTEST_SALT {
            let what = format!("has fewer than {SHORTEST_SALT} bytes, and can be guessed");
            reader.fault_in(&fields, &SALT, what, "`openssl rand -hex 32` makes one");
        }
        let is_told = *log.0 != AccessLog::Off && log.1.has(LogField::Hashed);
        if !is_told {
            let what = "has no effect: the access log is off, or its format has no field `hashed`";
            reader.warn(
                fields.at,
                PRIVACY.name,
                what,
                "remove it, or write access_log_format: json",
            );
        }
        Some(Self { hash_headers, salt })
    }
}

/// A section's comparison is not one of secrets: whoever reads its time has the file already.
impl PartialEq for Privacy {
    fn eq(&self, other: &Self) -> bool {
        self.hash_headers == other.hash_headers
            && self.salt.expose_secret() == other.salt.expose_secret()
    }
}
