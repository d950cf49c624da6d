//! The query toward one upstream: the client's without the credentials in it, and then ours.

use secrecy::ExposeSecret;

use crate::config;
use crate::upstream::Marks;

/// Names of parameters that are a secret, with hyphens for underscores; beside them every name of a header that
/// is one.
const SECRETS: [&str; 8] = [
    "access-token",
    "auth-token",
    "id-token",
    "key",
    "subscription-key",
    "token",
    "x-amz-credential",
    "x-amz-signature",
];

/// What configuration says of a query, made once. Not `Debug`: a value may be a key.
pub(super) struct Query {
    /// Ours, as it is written behind a `?`; empty where there is none.
    ours: Box<str>,
    /// The names in it, decoded and in lower case.
    names: Box<[Box<str>]>,
    /// Whether a client's credentials go no further.
    drops: bool,
    /// Of those these do, in lower case.
    forward: Box<[Box<str>]>,
}

impl Query {
    pub(super) fn of(upstream: &config::Upstream) -> Self {
        let outgoing = &upstream.outgoing;
        let of_url = outgoing.url_query.as_ref().map_or("", |query| query.expose_secret());
        let mut ours = of_url.to_owned();
        for (name, value) in &outgoing.query {
            if !ours.is_empty() {
                ours.push('&');
            }
            encode(name, &mut ours);
            ours.push('=');
            encode(value.expose_secret(), &mut ours);
        }
        let names = names_of(&ours);
        let forward = outgoing.forward_query.iter().map(|name| name.to_ascii_lowercase().into());
        let forward = forward.collect();
        Self { ours: ours.into(), names, drops: !upstream.forward_authorization, forward }
    }

    /// Bytes that it adds to a target, at most.
    pub(super) fn adds(&self) -> usize {
        if self.ours.is_empty() { 0 } else { self.ours.len() + 1 }
    }

    /// A client's query as the upstream is to see it; `None` where that is as it came, which is found without
    /// an allocation where there is neither.
    pub(super) fn change(&self, asked: Option<&str>) -> Option<String> {
        let Some(asked) = asked else {
            return (!self.ours.is_empty()).then(|| self.ours.to_string());
        };
        let goes = |piece: &str| {
            let name = name_of(piece);
            self.is_ours(&name) || self.drops && is_secret(&name) && !self.forwards(&name)
        };
        let left = without(asked, goes);
        if self.ours.is_empty() {
            return left;
        }
        let mut query = left.unwrap_or_else(|| asked.to_owned());
        if !query.is_empty() && !query.ends_with('&') {
            query.push('&');
        }
        query.push_str(&self.ours);
        Some(query)
    }

    /// A query that the upstream wrote, without what is ours in it; `None` where there is nothing of ours. An
    /// upstream that redirects repeats the query, and the client must not see a key of ours there.
    pub(super) fn hide(&self, said: &str) -> Option<String> {
        if self.ours.is_empty() {
            None
        } else {
            without(said, |piece| self.is_ours(&name_of(piece)))
        }
    }

    fn is_ours(&self, name: &str) -> bool {
        self.names.iter().any(|ours| **ours == *name)
    }

    fn forwards(&self, name: &str) -> bool {
        self.forward.iter().any(|forward| **forward == *name)
    }
}

/// All but the pieces that go; `None` where none does. The rest stays as it is, byte for byte.
fn without(query: &str, goes: impl Fn(&str) -> bool) -> Option<String> {
    if !pieces(query).any(|(_, piece)| goes(piece)) {
        return None;
    }
    let mut left = String::with_capacity(query.len());
    let mut kept = pieces(query).filter(|(_, piece)| !goes(piece));
    if let Some((_, first)) = kept.next() {
        left.push_str(first);
    }
    for (separator, piece) in kept {
        left.push_str(separator);
        left.push_str(piece);
    }
    Some(left)
}

/// Of all that have one.
fn names_of(query: &str) -> Box<[Box<str>]> {
    let names = pieces(query).map(|(_, piece)| name_of(piece));
    names.filter(|name| !name.is_empty()).map(Into::into).collect()
}

/// Each with the separator before it. Some servers take `;` for one.
fn pieces(query: &str) -> impl Iterator<Item = (&str, &str)> {
    let mut rest = Some(("", query));
    std::iter::from_fn(move || {
        let (separator, from) = rest.take()?;
        let end = from.find(['&', ';']).unwrap_or(from.len());
        let (piece, after) = from.split_at(end);
        rest = after.split_at_checked(1);
        Some((separator, piece))
    })
}

/// Decoded, in lower case: servers differ in whether case counts.
fn name_of(piece: &str) -> String {
    let name = piece.split('=').next().unwrap_or_default();
    let mut rest = name.as_bytes();
    let mut decoded = Vec::with_capacity(rest.len());
    while let [byte, after @ ..] = rest {
        rest = after;
        let escaped = match (byte, after) {
            (b'%', [high, low, after @ ..]) => digit(*high).zip(digit(*low)).map(|it| (it, after)),
            _ => None,
        };
        match escaped {
            Some(((high, low), after)) => {
                decoded.push(high << 4 | low);
                rest = after;
            }
            None => decoded.push(*byte),
        }
    }
    String::from_utf8_lossy(&decoded).to_ascii_lowercase()
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| digit.try_into().ok())
}

/// `name` as [`name_of`] has it.
fn is_secret(name: &str) -> bool {
    let name = name.replace('_', "-");
    SECRETS.contains(&&*name)
        || Marks::of_text(&name).any(Marks::CREDENTIAL.and(Marks::AUTHORIZATION))
}

/// As RFC 3986, section 2.3, has it for what is data: all but letters, digits and four marks.
fn encode(text: &str, into: &mut String) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            into.push(byte.into());
        } else {
            const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
            into.push('%');
            into.push(DIGITS[usize::from(byte >> 4)].into());
            into.push(DIGITS[usize::from(byte & 15)].into());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(ours: &str, forward: &[&str]) -> Query {
        Query {
            ours: ours.into(),
            names: names_of(ours),
            drops: true,
            forward: forward.iter().map(|name| (*name).into()).collect(),
        }
    }

    fn plain() -> Query {
        query("", &[])
    }

    #[test]
    fn what_has_nothing_to_hide_stays_byte_for_byte() {
        for asked in ["", "a=1&a=2&b=&&=c", "q=%zz+%20/?;;&key2=k&monkey=1", "keys=1&after=key"] {
            assert_eq!(plain().change(Some(asked)), None, "{asked}");
        }
        assert_eq!(plain().change(None), None);
    }

    #[test]
    fn credentials_go_however_they_are_spelled() {
        for secret in [
            "key=S",
            "KEY=S",
            "key",
            "k%65y=S",
            "%6bey=S",
            "api_key=S",
            "api-key=S",
            "apikey=S",
            "access_token=S",
            "subscription-key=S",
            "X-Amz-Security-Token=S",
            "x-amz-signature=S",
            "x-goog-api-key=S",
            "authorization=S",
            "token=S",
        ] {
            assert_eq!(plain().change(Some(secret)).as_deref(), Some(""), "{secret}");
            for separator in ["&", ";"] {
                let asked = format!("a=1{separator}{secret}{separator}b=2");
                let left = format!("a=1{separator}b=2");
                assert_eq!(plain().change(Some(&asked)), Some(left), "{secret}");
            }
        }
        assert_eq!(query("", &["token"]).change(Some("token=S&key=S")).as_deref(), Some("token=S"));
        let clients = Query { drops: false, ..plain() };
        assert_eq!(clients.change(Some("key=S")), None);
    }

    #[test]
    fn ours_comes_after_the_clients_and_in_place_of_its_own() {
        let ours = query("api-version=v1&x=1", &[]);
        for (asked, sent) in [
            (None, "api-version=v1&x=1"),
            (Some(""), "api-version=v1&x=1"),
            (Some("a=1"), "a=1&api-version=v1&x=1"),
            (Some("a=1&"), "a=1&api-version=v1&x=1"),
            (Some("API-Version=old&a=1&key=S"), "a=1&api-version=v1&x=1"),
            (Some("api%2Dversion=old"), "api-version=v1&x=1"),
        ] {
            assert_eq!(ours.change(asked).as_deref(), Some(sent), "{asked:?}");
        }
        assert_eq!(ours.hide("a=1&api-version=v1").as_deref(), Some("a=1"));
        assert_eq!(ours.hide("a=1"), None);
    }

    #[test]
    fn a_value_is_encoded_so_that_it_is_one() {
        let mut text = String::new();
        encode("a b&c=d/é", &mut text);
        assert_eq!(text, "a%20b%26c%3Dd%2F%C3%A9");
    }
}
