//! Who may ask what: web pages nothing, and what changes something only whoever says that it means it.

use http::header::{AUTHORIZATION, HeaderMap};
use http::{HeaderName, Uri};
use sha2::{Digest, Sha256};

use secrecy::{ExposeSecret, SecretString};

use crate::admit::{self, Asked, Origins};
use crate::config::{Allowed, Config};
use crate::error::Kind;

/// No form and no image can send it, and no page of another origin without a question that we never answer.
const MEANT: HeaderName = HeaderName::from_static("x-firstbyte-admin");

/// Origins that may use the proxy need not see how it fares.
const NO_ORIGIN: Origins<'_> =
    Origins { allowed: &Allowed { any: false, names: Vec::new() }, cors: None };

/// Why not. Each says what to add.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Denied {
    /// A web page, or a name that was made to lead here.
    Page(Kind),
    /// The header is missing.
    NotMeant,
    /// The token is missing or another one.
    NotKnown,
    /// There is no token, and other machines reach the listener.
    NoToken,
}

impl Denied {
    /// In words, for whoever sits at the other end.
    pub(super) fn message(self) -> &'static str {
        match self {
            Self::Page(Kind::ForeignHost) => {
                "the admin listener is on loopback and accepts only loopback host names; add other \
                 names to allowed_hosts"
            }
            Self::Page(_) => "web pages of other origins may not use the admin listener",
            Self::NotMeant => {
                "this request needs a header that web pages cannot send: add -H \
                 'x-firstbyte-admin: 1'"
            }
            Self::NotKnown => {
                "this request needs the admin_token: add -H \"authorization: Bearer $TOKEN\""
            }
            Self::NoToken => {
                "other machines can reach this listener, so requests that change something need \
                 admin_token; set it in the configuration (SIGHUP reloads without it)"
            }
        }
    }
}

/// Whether this may be looked at.
///
/// # Errors
/// [`Denied::Page`].
pub(super) fn may_see(
    uri: &Uri,
    headers: &HeaderMap,
    on_loopback: bool,
    config: &Config,
) -> Result<(), Denied> {
    let asked = Asked { by_browser: true, on_loopback };
    admit::page(uri, headers, asked, NO_ORIGIN, &config.allowed_hosts)
        .map(drop)
        .map_err(Denied::Page)
}

/// Whether this may change something; it may be looked at already.
///
/// # Errors
/// All but [`Denied::Page`].
pub(super) fn may_change(
    headers: &HeaderMap,
    on_loopback: bool,
    config: &Config,
) -> Result<(), Denied> {
    if !headers.contains_key(MEANT) {
        return Err(Denied::NotMeant);
    }
    match &config.admin_token {
        Some(token) if !is_told(headers, token) => Err(Denied::NotKnown),
        None if !on_loopback => Err(Denied::NoToken),
        _ => Ok(()),
    }
}

/// Compared by their digests, which tell nothing of the token by the time that it takes.
fn is_told(headers: &HeaderMap, token: &SecretString) -> bool {
    let Some(value) = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()) else {
        return false;
    };
    let Some((scheme, said)) = value.split_once(' ') else { return false };
    let (said, meant) = (Sha256::digest(said.trim()), Sha256::digest(token.expose_secret()));
    let differing = said.iter().zip(meant.iter()).fold(0, |all, (a, b)| all | (a ^ b));
    scheme.eq_ignore_ascii_case("bearer") && differing == 0
}
