//! The values of a route: a path prefix, and the name of what it leads to.

use serde_json::{Value, json};

use super::file::fault::Complaint;
use super::kind::url::check_path;
use super::kind::{Around, Kind};

/// A path prefix that begins with `/` and ends on a segment boundary.
pub(super) struct Prefix;

impl Kind for Prefix {
    type Value = String;

    fn read(&self, text: &str, _: &Around<'_>) -> Result<String, Complaint> {
        if !text.starts_with('/') {
            return Err(Complaint::new("does not begin with `/`", "write it like /v1"));
        }
        if text.contains(['?', '#']) {
            return Err(Complaint::new("has a query or fragment", "routes look at the path only"));
        }
        let trimmed = text.trim_end_matches('/');
        if text != "/" && text != trimmed {
            let likely = if trimmed.is_empty() { "/" } else { trimmed };
            let what = "ends with `/`";
            return Err(Complaint::new(
                what,
                format!("write {likely}: it takes all beneath it too"),
            ));
        }
        check_path(text)?;
        Ok(text.to_owned())
    }

    fn absent(&self) -> String {
        String::new()
    }

    fn name(&self) -> String {
        "path".into()
    }

    fn default_text(&self) -> Option<String> {
        None
    }

    fn schema(&self) -> Value {
        json!({ "type": "string", "pattern": "^/$|^/[^?#]*[^?#/]$|\\$\\{" })
    }
}

/// The name of an upstream or group; whether there is one of that name is seen when all are known.
pub(super) struct UpstreamName;

impl Kind for UpstreamName {
    type Value = String;

    fn read(&self, text: &str, _: &Around<'_>) -> Result<String, Complaint> {
        Ok(text.to_owned())
    }

    fn absent(&self) -> String {
        String::new()
    }

    fn name(&self) -> String {
        "name".into()
    }

    fn default_text(&self) -> Option<String> {
        None
    }

    fn schema(&self) -> Value {
        json!({ "type": "string", "minLength": 1 })
    }
}
