//! Whose credentials an upstream sees: ours, the client's, or nobody's. One identity at a time, whatever slot the
//! client put its own in.

use http::header::{
    AUTHORIZATION, Entry, HeaderMap, HeaderName, HeaderValue, SEC_WEBSOCKET_PROTOCOL,
};
use secrecy::ExposeSecret;

use super::BadUpstream;
use crate::config;
use crate::relay::head::marked;
use crate::upstream::{HeadSize, Marks};

const ORGANIZATION: HeaderName = HeaderName::from_static("openai-organization");
const PROJECT: HeaderName = HeaderName::from_static("openai-project");

/// All that proves who asks, or on whose account.
const IDENTITY: Marks = Marks::AUTHORIZATION.and(Marks::ACCOUNT).and(Marks::CREDENTIAL);

/// What members of `sec-websocket-protocol` begin with that are a secret or an account.
const SECRET_MEMBERS: [&str; 5] = [
    "openai-insecure-api-key.",
    "openai-organization.",
    "openai-project.",
    "base64url.bearer.",
    "bearer.",
];

/// Members after which the next one is a secret.
const BEFORE_SECRETS: [&str; 5] = ["bearer", "authorization", "access_token", "token", "jwt"];

/// What goes of the client's head, and what comes in its place.
pub(super) struct Credentials {
    whose: Whose,
    /// Our key, what goes with it, and the operator's `headers`. Inserted over the client's lines of the same name.
    sets: Box<[(HeaderName, HeaderValue)]>,
    /// Kinds of the client's lines that go no further.
    drops: Marks,
    /// Those of such a kind that do.
    forward: Box<[HeaderName]>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Whose {
    Ours,
    Clients,
    Nobody,
}

impl Credentials {
    pub(super) fn of(upstream: &config::Upstream) -> Result<Self, BadUpstream> {
        let outgoing = &upstream.outgoing;
        let mut sets = Vec::new();
        if let Some(key) = &upstream.key {
            let (name, key) = (outgoing.auth_header.clone(), key.expose_secret());
            let text = if name == AUTHORIZATION { &format!("Bearer {key}") } else { key };
            sets.push((name, secret(text, "key")?));
            let account = [
                (ORGANIZATION, &upstream.organization, "organization"),
                (PROJECT, &upstream.project, "project"),
            ];
            for (name, text, field) in account {
                let Some(text) = text else { continue };
                sets.push((name, HeaderValue::try_from(text).map_err(|_| BadUpstream { field })?));
            }
        }
        for (name, text) in &outgoing.headers {
            sets.push((name.clone(), secret(text.expose_secret(), "headers")?));
        }
        let whose = match (&upstream.key, upstream.forward_authorization) {
            (Some(_), _) => Whose::Ours,
            (None, true) => Whose::Clients,
            (None, false) => Whose::Nobody,
        };
        let replaces = |name| sets.iter().any(|(set, _)| *set == name);
        let drops = match whose {
            Whose::Clients => Marks::NONE,
            // It is inserted over: nothing need be looked for.
            _ if replaces(AUTHORIZATION) => Marks::ACCOUNT.and(Marks::CREDENTIAL),
            _ => IDENTITY,
        };
        let forward = outgoing.forward_headers.clone().into();
        Ok(Self { whose, sets: sets.into(), drops, forward })
    }

    /// What is put in, at most.
    pub(super) fn size(&self) -> HeadSize {
        let sets = self.sets.iter().map(|(name, value)| name.as_str().len() + value.len());
        sets.fold(HeadSize::default(), HeadSize::with)
    }

    /// Kinds of the client's lines of which [`Credentials::forwards`] is to be asked.
    pub(super) const fn drops(&self) -> Marks {
        self.drops
    }

    /// Whether the operator lets a header of such a kind through.
    pub(super) fn forwards(&self, name: &HeaderName) -> bool {
        self.forward.contains(name)
    }

    /// After what may not go on has gone. `marks` are those of the client's lines.
    pub(super) fn put_in(&self, headers: &mut HeaderMap, marks: Marks) {
        if self.whose == Whose::Clients {
            hide(headers, &AUTHORIZATION);
            for name in marked(headers, marks, Marks::CREDENTIAL) {
                hide(headers, &name);
            }
        } else if marks.any(Marks::SUBPROTOCOL) && !self.forwards(&SEC_WEBSOCKET_PROTOCOL) {
            without_secrets(headers);
        }
        for (name, value) in &self.sets {
            headers.insert(name.clone(), value.clone());
        }
    }

    /// For `Debug`.
    pub(super) const fn shown(&self) -> &'static str {
        match self.whose {
            Whose::Ours => "ours",
            Whose::Clients => "the client's",
            Whose::Nobody => "none",
        }
    }
}

fn secret(text: &str, field: &'static str) -> Result<HeaderValue, BadUpstream> {
    let mut value = HeaderValue::try_from(text).map_err(|_| BadUpstream { field })?;
    // Not printed by `Debug`, and never put into HPACK's table (RFC 7541, section 7.1.3).
    value.set_sensitive(true);
    Ok(value)
}

/// As with our own key: not in `Debug`, not in HPACK's table.
pub(super) fn hide(headers: &mut HeaderMap, name: &HeaderName) {
    if let Entry::Occupied(mut entry) = headers.entry(name) {
        entry.iter_mut().for_each(|value| value.set_sensitive(true));
    }
}

/// Takes the client's key out of the subprotocols that it offers. All of them go where one says that the next
/// is a secret.
fn without_secrets(headers: &mut HeaderMap) {
    let lines: Vec<_> = headers.get_all(SEC_WEBSOCKET_PROTOCOL).iter().cloned().collect();
    headers.remove(SEC_WEBSOCKET_PROTOCOL);
    let members = lines.iter().flat_map(|line| line.as_bytes().split(|byte| *byte == b','));
    let mut kept: Vec<&[u8]> = Vec::new();
    for member in members.map(<[u8]>::trim_ascii) {
        if BEFORE_SECRETS.iter().any(|word| member.eq_ignore_ascii_case(word.as_bytes())) {
            return;
        }
        let begins = |with: &&str| {
            member.get(..with.len()).is_some_and(|it| it.eq_ignore_ascii_case(with.as_bytes()))
        };
        if !member.is_empty() && !SECRET_MEMBERS.iter().any(begins) {
            kept.push(member);
        }
    }
    // What is left was part of a header's value, and is one.
    if let Ok(value) = HeaderValue::from_bytes(&kept.join(&b", "[..]))
        && !kept.is_empty()
    {
        headers.insert(SEC_WEBSOCKET_PROTOCOL, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left(lines: &[&'static str]) -> Vec<String> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(line));
        }
        without_secrets(&mut headers);
        let left = headers.get_all(SEC_WEBSOCKET_PROTOCOL).iter();
        left.map(|value| value.to_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn subprotocols_stay_without_the_keys_among_them() {
        assert_eq!(
            left(&["realtime, openai-insecure-api-key.S, openai-beta.v1"]),
            ["realtime, openai-beta.v1"]
        );
        assert_eq!(
            left(&["realtime", "OpenAI-Insecure-API-Key.S,,openai-project.p"]),
            ["realtime"]
        );
        assert_eq!(left(&["openai-insecure-api-key.S"]), [""; 0]);
        assert_eq!(left(&["base64url.bearer.authorization.k8s.io.S, v4.channel"]), ["v4.channel"]);
        for pair in ["realtime, Bearer, S", "S, access_token", "Authorization,S"] {
            assert_eq!(left(&[pair]), [""; 0], "{pair}");
        }
    }
}
