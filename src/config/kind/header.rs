//! Names of header fields.

use http::HeaderName;
use http::header::AUTHORIZATION;
use serde_json::{Value, json};

use super::{Around, Kind};
use crate::config::file::fault::Complaint;

/// What the proxy writes itself, or what concerns one connection only.
const FIXED: [&str; 16] = [
    "accept-encoding",
    "connection",
    "content-length",
    "expect",
    "forwarded",
    "host",
    "http2-settings",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
];
const FIXED_PREFIXES: [&str; 2] = ["x-forwarded-", "x-firstbyte-"];

/// The name of a request header that configuration can say something of.
pub(in crate::config) struct FieldName;

impl Kind for FieldName {
    type Value = HeaderName;

    fn read(&self, text: &str, _: &Around<'_>) -> Result<HeaderName, Complaint> {
        let name = HeaderName::try_from(text).map_err(|_| {
            Complaint::new("is not the name of a header", "write it like x-api-key")
        })?;
        let fixed = FIXED.contains(&name.as_str());
        if fixed || FIXED_PREFIXES.iter().any(|prefix| name.as_str().starts_with(prefix)) {
            let what = "is a header that the proxy writes or removes itself";
            return Err(Complaint::new(what, "remove it"));
        }
        Ok(name)
    }

    fn absent(&self) -> HeaderName {
        AUTHORIZATION
    }

    fn name(&self) -> String {
        "name of a header".into()
    }

    fn default_text(&self) -> Option<String> {
        Some(AUTHORIZATION.as_str().into())
    }

    fn schema(&self) -> Value {
        json!({ "type": "string", "minLength": 1 })
    }
}

/// The name of any header; `hint` says how one is written.
pub(in crate::config) struct AnyName {
    pub(in crate::config) hint: &'static str,
}

impl Kind for AnyName {
    type Value = Option<HeaderName>;

    fn read(&self, text: &str, _: &Around<'_>) -> Result<Option<HeaderName>, Complaint> {
        let name = HeaderName::try_from(text);
        name.map(Some).map_err(|_| Complaint::new("is not the name of a header", self.hint))
    }

    fn absent(&self) -> Option<HeaderName> {
        None
    }

    fn name(&self) -> String {
        "name of a header".into()
    }

    fn default_text(&self) -> Option<String> {
        None
    }

    fn schema(&self) -> Value {
        json!({ "type": "string", "minLength": 1 })
    }
}
