//! Web pages and names: who is allowed beside what always is.

use serde_json::{Value, json};

use super::file::fault::Complaint;
use super::kind::{Around, Kind};

/// Origins or hosts that are allowed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Allowed {
    /// All of them: `*` is written.
    pub any: bool,
    /// These, in lower case; origins as browsers write them, without a usual port.
    pub names: Vec<String>,
}

impl Allowed {
    /// Of what was written.
    pub(super) fn of(written: impl IntoIterator<Item = Option<String>>) -> Self {
        let names: Vec<_> = written.into_iter().flatten().collect();
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
            return Err(Complaint::new("has a path, which no origin has", hint));
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
            "is not a host's name",
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
