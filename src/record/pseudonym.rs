//! What names an end user, as the access log may have it: HMAC-SHA-256 (RFC 2104) under the operator's salt.
//!
//! It is computed on the worker: the value itself never leaves the request's head, and no batch, no other thread and no
//! file ever holds it.

use std::fmt;

use aws_lc_rs::hmac;
use http::{HeaderMap, HeaderName};
use secrecy::ExposeSecret;
use serde::{Serialize, Serializer};

use crate::config::Privacy;

/// Bytes of a hash that are told: RFC 2104, section 5, wants at least half of them. Two of as many users as there are
/// people meet in 128 bits once in ten quintillion logs.
const TOLD: usize = 16;

/// Hides the headers that the operator named. One for each configuration.
pub struct Pseudonyms {
    headers: Box<[HeaderName]>,
    key: hmac::Key,
    /// The access log has a field for the hashes.
    tells: bool,
}

/// Headers of one request, each with its hash. Those that it does not have are not there.
#[derive(Debug, Default)]
pub struct Hashed(Vec<(HeaderName, [u8; TOLD])>);

impl Pseudonyms {
    /// Of a configuration's section. `tells`: the access log has a field for the hashes.
    pub fn new(privacy: &Privacy, tells: bool) -> Self {
        let key = hmac::Key::new(hmac::HMAC_SHA256, privacy.salt.expose_secret().as_bytes());
        Self { headers: privacy.hash_headers.clone().into(), key, tells }
    }

    /// Whether this header, by its name in lower case, is not to be told as it is.
    pub fn hides(&self, name: &str) -> bool {
        self.headers.iter().any(|header| header == name)
    }

    /// Of a request; nothing where nobody would be told. Several lines of one name are one value (RFC 9110, section
    /// 5.3); an empty one names nobody.
    pub fn of(&self, headers: &HeaderMap) -> Hashed {
        if !self.tells {
            return Hashed::default();
        }
        let one = |name: &HeaderName| {
            let all = headers.get_all(name);
            all.iter().find(|value| !value.is_empty())?;
            let mut values = all.iter();
            let first = values.next()?;
            let mut context = hmac::Context::with_key(&self.key);
            context.update(first.as_bytes());
            for value in values {
                context.update(b", ");
                context.update(value.as_bytes());
            }
            let tag = context.sign();
            Some((name.clone(), tag.as_ref().get(..TOLD)?.try_into().ok()?))
        };
        Hashed(self.headers.iter().filter_map(one).collect())
    }
}

/// An object: each header's name with its hash in hexadecimal.
impl Serialize for Hashed {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let hex = |hash: &[u8; TOLD]| -> String {
            let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16).unwrap_or_default();
            hash.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
        };
        serializer.collect_map(self.0.iter().map(|(name, hash)| (name.as_str(), hex(hash))))
    }
}

impl Hashed {
    /// There is something to tell.
    pub(in crate::record) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Without the key.
impl fmt::Debug for Pseudonyms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pseudonyms").field("headers", &self.headers).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn of(salt: &str, lines: &[(&'static str, &str)]) -> serde_json::Value {
        serde_json::to_value(hashed(salt, lines, true)).unwrap()
    }

    fn hashed(salt: &str, lines: &[(&'static str, &str)], tells: bool) -> Hashed {
        let names = ["x-user-id", "x-team"].map(HeaderName::from_static);
        let privacy = Privacy { hash_headers: names.to_vec(), salt: salt.to_owned().into() };
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        Pseudonyms::new(&privacy, tells).of(&headers)
    }

    #[test]
    fn a_hash_is_the_first_half_of_hmac_sha_256() {
        // RFC 4231, section 4.3: its test case 2.
        let hashed = of("Jefe", &[("x-user-id", "what do ya want for nothing?")]);
        assert_eq!(hashed, serde_json::json!({ "x-user-id": "5bdcc146bf60754e6a042426089575c7" }));
    }

    #[test]
    fn one_user_has_one_hash_under_one_salt_and_another_under_another() {
        let alice = of("a salt", &[("x-user-id", "alice"), ("x-team", "alice")]);
        assert_eq!(alice["x-user-id"], alice["x-team"]);
        assert_ne!(alice["x-user-id"], of("a salt", &[("x-user-id", "bob")])["x-user-id"]);
        assert_ne!(alice["x-user-id"], of("b salt", &[("x-user-id", "alice")])["x-user-id"]);
    }

    #[test]
    fn several_lines_are_one_value_and_what_is_not_there_or_empty_has_no_hash() {
        let two = of("s", &[("x-user-id", "alice"), ("x-user-id", "ä")]);
        assert_eq!(two, of("s", &[("x-user-id", "alice, ä")]));
        assert_eq!(of("s", &[("x-user-id", ""), ("x-other", "alice")]), serde_json::json!({}));
        let behind_an_empty_one = of("s", &[("x-user-id", ""), ("x-user-id", "alice")]);
        assert_eq!(behind_an_empty_one, of("s", &[("x-user-id", ", alice")]));
    }

    #[test]
    fn nothing_is_hashed_that_no_log_has_a_field_for() {
        let alice = &[("x-user-id", "alice")];
        assert!(hashed("s", alice, false).is_empty() && !hashed("s", alice, true).is_empty());
    }
}
