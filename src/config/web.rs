//! `admin_token`, `allowed_hosts`, `allowed_origins`: who may ask, beside programs that reach a listener.

use serde_json::{Value, json};

use super::file::fault::Complaint;
use super::key::Key;
use super::key::reader::{Fields, Reader};
use super::kind::many::Many;
use super::kind::secret::Secret;
use super::kind::{Around, Kind};

pub(super) static ADMIN_TOKEN: Key<Secret> = Key::new(
    "admin_token",
    Secret,
    "Bearer token that `POST /reload` requires, in addition to the header `x-firstbyte-admin`. \
     Without a token, `POST /reload` is rejected if `admin` is not on loopback.",
);

pub(super) static ALLOWED_HOSTS: Key<Many<Host>> = Key::new(
    "allowed_hosts",
    Many(Host),
    "Host names that listeners on loopback accept, besides `localhost`, `*.localhost` and loopback \
     addresses; `*` accepts any. Other listeners accept any name.",
);

pub(super) static ALLOWED_ORIGINS: Key<Many<Origin>> = Key::new(
    "allowed_origins",
    Many(Origin),
    "Origins of web pages that may use `listen`, such as `https://chat.example`; `*` allows all. \
     The proxy answers CORS for them. Web pages can never use `admin`.",
);

/// Origins or hosts that are allowed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Allowed {
    /// All of them: `*` is written.
    pub any: bool,
    /// These, in lower case; origins as browsers write them, without a usual port.
    pub names: Vec<String>,
}

impl Allowed {
    /// `key` is one of [`ALLOWED_HOSTS`] and [`ALLOWED_ORIGINS`].
    pub(super) fn read<K: Kind<Value = Option<String>>>(
        reader: &mut Reader<'_>,
        root: &Fields<'_>,
        key: &Key<Many<K>>,
    ) -> Self {
        let written = reader.get_many(root, key);
        let names: Vec<_> = written.into_iter().filter_map(|(_, name)| name).collect();
        Self { any: names.iter().any(|name| name == "*"), names }
    }
}

/// An origin (RFC 6454, section 6.2), or `*`.
pub(super) struct Origin;

impl Kind for Origin {
    type Value = Option<String>;

    fn read(&self, text: &str, _: &Around<'_>) -> Result<Option<String>, Complaint> {
        if text == "*" {
            return Ok(Some(text.to_owned()));
        }
        let text = text.to_ascii_lowercase();
        let (scheme, authority) = text.split_once("://").unwrap_or_default();
        if let (Some(origin), 2..) = (text.strip_suffix('/'), authority.len()) {
            let hint = format!("write {origin}");
            return Err(Complaint::new("has a path, and an origin has none", hint));
        }
        let scheme_fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '+');
        let fits =
            |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_' | ':' | '[' | ']');
        let is_empty = scheme.is_empty() || authority.is_empty();
        if is_empty || !scheme.chars().all(scheme_fits) || !authority.chars().all(fits) {
            let hint = "write it like https://chat.example, or \"*\"";
            return Err(Complaint::new("is not an origin", hint));
        }
        let usual = match scheme {
            "http" => ":80",
            "https" => ":443",
            _ => "",
        };
        let authority = authority.strip_suffix(usual).unwrap_or(authority);
        Ok(Some(format!("{scheme}://{authority}")))
    }

    fn absent(&self) -> Option<String> {
        None
    }

    fn name(&self) -> String {
        "origin, `*`".into()
    }

    fn default_text(&self) -> Option<String> {
        None
    }

    fn schema(&self) -> Value {
        json!({ "type": "string", "pattern": "^\\*$|://|\\$\\{" })
    }
}

/// A host's name, or `*`.
pub(super) struct Host;

impl Kind for Host {
    type Value = Option<String>;

    fn read(&self, text: &str, _: &Around<'_>) -> Result<Option<String>, Complaint> {
        let fit = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
        let address = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
        let address = address.is_some_and(|text| text.parse::<std::net::Ipv6Addr>().is_ok());
        if text == "*" || address || (!text.is_empty() && text.chars().all(fit)) {
            return Ok(Some(text.to_ascii_lowercase()));
        }
        Err(Complaint::new(
            "is not a host name",
            "write it like api.example, without a port; or \"*\"",
        ))
    }

    fn absent(&self) -> Option<String> {
        None
    }

    fn name(&self) -> String {
        "host, `*`".into()
    }

    fn default_text(&self) -> Option<String> {
        None
    }

    fn schema(&self) -> Value {
        json!({ "type": "string", "minLength": 1 })
    }
}
