//! Kinds of header names. Asking a map for each name that could be there costs more than passing over those
//! that are, and most of them are of no kind.

use http::HeaderName;

use super::underscores::has_underscore;

/// A set of kinds of header names.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Marks(u16);

impl Marks {
    /// `connection`.
    pub const CONNECTION: Self = Self(1);
    /// Hop-by-hop whether or not `connection` names it (RFC 9110, section 7.6.1).
    pub const HOP_BY_HOP: Self = Self(1 << 1);
    /// An underscore in the name: what CGI and its kin cannot tell from a hyphen.
    pub const UNDERSCORE: Self = Self(1 << 2);
    /// `expect`.
    pub const EXPECT: Self = Self(1 << 3);
    /// What a client may not say of itself: who forwarded the request.
    pub const FORWARDED: Self = Self(1 << 4);
    /// Under our own prefix, `x-firstbyte-`.
    pub const OURS: Self = Self(1 << 5);
    /// `authorization`.
    pub const AUTHORIZATION: Self = Self(1 << 6);
    /// Organization and project, which go and come with a key.
    pub const ACCOUNT: Self = Self(1 << 7);
    /// What browsers say of the page that asks.
    pub const PAGE: Self = Self(1 << 8);
    /// `content-length`.
    pub const LENGTH: Self = Self(1 << 9);
    /// Any other header that proves who asks: keys, cookies, tokens.
    pub const CREDENTIAL: Self = Self(1 << 10);
    /// `sec-websocket-protocol`, which browsers must use to send a key.
    pub const SUBPROTOCOL: Self = Self(1 << 11);
    /// `location`.
    pub const LOCATION: Self = Self(1 << 12);
    /// `x-conversation-id`: by this name a client of llama.cpp's comes back.
    pub const CONVERSATION: Self = Self(1 << 13);

    /// None of them.
    pub const NONE: Self = Self(0);

    /// The kinds of one name.
    pub fn of(name: &HeaderName) -> Self {
        Self::of_text(name.as_str())
    }

    /// Both sets.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether the sets share a kind.
    pub const fn any(self, of: Self) -> bool {
        self.0 & of.0 != 0
    }

    /// As [`Marks::of`], of a name in lower case.
    #[inline]
    pub fn of_text(name: &str) -> Self {
        let mut found = Self::of_known(name);
        if name.as_bytes().last_chunk() == Some(API_KEY) {
            found = found.and(Self::CREDENTIAL);
        }
        if has_underscore(name.as_bytes()) { found.and(Self::of_hyphenated(name)) } else { found }
    }

    /// Of a name with underscores: with hyphens it may be a credential, and some servers take it for that.
    #[cold]
    fn of_hyphenated(name: &str) -> Self {
        let credential = Self::of_text(&name.replace('_', "-")).0 & Self::CREDENTIAL.0;
        Self::UNDERSCORE.and(Self(credential))
    }

    /// Most names begin with a letter, or have a length, of no concern.
    #[inline]
    pub(super) fn of_known(name: &str) -> Self {
        let candidate = CANDIDATES[row(name.as_bytes())][name.len().min(LONGEST)];
        if candidate == 0 { Self::NONE } else { Self::by_name(name, candidate) }
    }

    /// In lower case, as a map has them. `candidate` is one behind the first that it can be.
    #[inline(never)]
    fn by_name(name: &str, candidate: u8) -> Self {
        if candidate != PREFIXED {
            let alike = NAMES[usize::from(candidate) - 1..].iter();
            let mut alike =
                alike.take_while(|(known, _)| is_alike(known.as_bytes(), name.as_bytes()));
            if let Some((_, mark)) = alike.find(|(known, _)| *known == name) {
                return *mark;
            }
        }
        let prefix = PREFIXES.iter().find(|(prefix, _)| name.starts_with(prefix));
        prefix.map_or(Self::NONE, |(_, mark)| *mark)
    }
}

/// Where every vendor's name for it ends: `x-api-key`, `x-goog-api-key` and others.
const API_KEY: &[u8; 8] = b"-api-key";

/// Beginnings of names of any length; each begins with `x-`.
const PREFIXES: [(&str, Marks); 5] = [
    ("x-forwarded-", Marks::FORWARDED),
    ("x-firstbyte-", Marks::OURS),
    // What AWS's, Azure's and oauth2-proxy's front doors say of who signed in, tokens included.
    ("x-amzn-oidc-", Marks::CREDENTIAL),
    ("x-auth-request-", Marks::CREDENTIAL),
    ("x-ms-token-", Marks::CREDENTIAL),
];

const NAMES: [(&str, Marks); 50] = [
    ("authorization", Marks::AUTHORIZATION),
    ("connection", Marks::CONNECTION),
    ("content-length", Marks::LENGTH),
    ("location", Marks::LOCATION),
    ("expect", Marks::EXPECT),
    ("forwarded", Marks::FORWARDED),
    ("http2-settings", Marks::HOP_BY_HOP),
    ("keep-alive", Marks::HOP_BY_HOP),
    ("openai-organization", Marks::ACCOUNT),
    ("openai-project", Marks::ACCOUNT),
    ("origin", Marks::PAGE),
    ("proxy-authenticate", Marks::HOP_BY_HOP),
    ("proxy-authorization", Marks::HOP_BY_HOP),
    ("proxy-connection", Marks::HOP_BY_HOP),
    ("sec-fetch-site", Marks::PAGE),
    ("sec-websocket-protocol", Marks::SUBPROTOCOL),
    ("te", Marks::HOP_BY_HOP),
    ("trailer", Marks::HOP_BY_HOP),
    ("transfer-encoding", Marks::HOP_BY_HOP),
    ("upgrade", Marks::HOP_BY_HOP),
    ("api-key", Marks::CREDENTIAL),
    ("apikey", Marks::CREDENTIAL),
    ("cf-access-client-id", Marks::CREDENTIAL),
    ("cf-access-client-secret", Marks::CREDENTIAL),
    ("cf-access-jwt-assertion", Marks::CREDENTIAL),
    ("cf-access-token", Marks::CREDENTIAL),
    ("cf-aig-authorization", Marks::CREDENTIAL),
    ("cookie", Marks::CREDENTIAL),
    ("helicone-auth", Marks::CREDENTIAL),
    ("job-token", Marks::CREDENTIAL),
    ("ocp-apim-subscription-key", Marks::CREDENTIAL),
    ("private-token", Marks::CREDENTIAL),
    ("x-access-token", Marks::CREDENTIAL),
    ("x-amz-security-token", Marks::CREDENTIAL),
    ("x-api-token", Marks::CREDENTIAL),
    ("x-apikey", Marks::CREDENTIAL),
    ("x-auth-key", Marks::CREDENTIAL),
    ("x-auth-token", Marks::CREDENTIAL),
    ("x-authentik-jwt", Marks::CREDENTIAL),
    ("x-authorization", Marks::CREDENTIAL),
    ("x-conversation-id", Marks::CONVERSATION),
    ("x-csrf-token", Marks::CREDENTIAL),
    ("x-functions-key", Marks::CREDENTIAL),
    ("x-goog-iap-jwt-assertion", Marks::CREDENTIAL),
    ("x-id-token", Marks::CREDENTIAL),
    ("x-ms-client-principal", Marks::CREDENTIAL),
    ("x-pomerium-jwt-assertion", Marks::CREDENTIAL),
    ("x-rapidapi-key", Marks::CREDENTIAL),
    ("x-serverless-authorization", Marks::CREDENTIAL),
    ("x-vault-token", Marks::CREDENTIAL),
];

/// Longer names count as this long.
const LONGEST: usize = 31;

/// In place of a candidate: the name may begin with one of the prefixes.
const PREFIXED: u8 = u8::MAX;

/// By the low bits of its first letter; the many that begin with `x-` by those of the letter after it.
const fn row(name: &[u8]) -> usize {
    match name {
        [b'x', b'-', letter, ..] => 32 + (*letter & 31) as usize,
        [letter, ..] => (*letter & 31) as usize,
        [] => 0,
    }
}

/// By row and by length: one more than where the first of [`NAMES`] stands that is like it, or zero.
const CANDIDATES: [[u8; LONGEST + 1]; 64] = {
    let mut candidates = [[0; LONGEST + 1]; 64];
    let mut at = NAMES.len();
    while at > 0 {
        let name = NAMES[at - 1].0.as_bytes();
        let alike = &mut candidates[row(name)][name.len()];
        // Looked for from there on, those alike must stand together.
        assert!(*alike == 0 || *alike as usize == at + 1);
        *alike = at as u8;
        at -= 1;
    }
    while at < PREFIXES.len() {
        let prefix = PREFIXES[at].0.as_bytes();
        let mut length = prefix.len();
        while length <= LONGEST {
            let candidate = &mut candidates[row(prefix)][length];
            if *candidate == 0 {
                *candidate = PREFIXED;
            }
            length += 1;
        }
        at += 1;
    }
    candidates
};

/// Row and length are the same.
fn is_alike(known: &[u8], name: &[u8]) -> bool {
    known.len() == name.len() && row(known) == row(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_of_concern_is_marked_and_its_neighbours_are_not() {
        for (name, mark) in NAMES {
            assert_eq!(Marks::of(&HeaderName::from_static(name)), mark, "{name}");
            for near in [format!("x{name}"), format!("{name}s"), name[1..].to_owned()] {
                let near = HeaderName::try_from(near).unwrap();
                assert_eq!(Marks::of(&near), Marks::NONE, "{near}");
            }
        }
        for (prefix, mark) in PREFIXES {
            for name in
                [prefix.to_owned(), format!("{prefix}a"), format!("{prefix}{prefix}{prefix}")]
            {
                assert_eq!(Marks::of_text(&name), mark, "{name}");
            }
            assert_eq!(Marks::of_text(&prefix[..prefix.len() - 1]), Marks::NONE, "{prefix}");
        }
        for key in
            ["x-api-key", "x-goog-api-key", "x-portkey-api-key", "anthropic-api-key", "-api-key"]
        {
            assert_eq!(Marks::of_text(key), Marks::CREDENTIAL, "{key}");
        }
        for none in ["idempotency-key", "x-api-keys", "sec-websocket-key", "x-request-id", "x", ""]
        {
            assert_eq!(Marks::of_text(none), Marks::NONE, "{none}");
        }
        assert_eq!(Marks::of_known("x-forwarded-for_"), Marks::FORWARDED);
        let both = Marks::of(&HeaderName::from_static("x-forwarded-for_"));
        assert_eq!(both, Marks::FORWARDED.and(Marks::UNDERSCORE));
    }

    #[test]
    fn a_credential_spelled_with_underscores_is_one() {
        let both = Marks::CREDENTIAL.and(Marks::UNDERSCORE);
        for name in
            ["x_api_key", "api_key", "x_goog-api_key", "x_auth_request_email", "x_vault_token"]
        {
            assert_eq!(Marks::of_text(name), both, "{name}");
        }
        assert_eq!(Marks::of_text("content_length"), Marks::UNDERSCORE);
    }

    /// What an operator reads is what goes no further.
    #[test]
    fn the_documentation_lists_every_credential() {
        let page = include_str!("../../../docs/configuration.md");
        let listed = |name: &str| page.contains(&format!("`{name}`"));
        for (name, _) in NAMES.iter().filter(|(_, mark)| *mark == Marks::CREDENTIAL) {
            assert!(listed(name), "{name}");
        }
        for (prefix, _) in PREFIXES.iter().filter(|(_, mark)| *mark == Marks::CREDENTIAL) {
            assert!(listed(&format!("{prefix}*")), "{prefix}");
        }
        assert!(listed("*-api-key"));
    }
}
