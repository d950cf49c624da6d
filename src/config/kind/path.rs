//! A path prefix, as a route and a probe have one; and a folder.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::{Around, Kind};
use crate::config::file::fault::Complaint;

/// A path prefix that begins with `/` and ends on a segment boundary.
pub(in crate::config) struct Prefix;

impl Kind for Prefix {
    type Value = String;

    fn read(&self, text: &str, _: &Around<'_>) -> Result<String, Complaint> {
        if !text.starts_with('/') {
            return Err(Complaint::new("does not begin with `/`", "write it like /v1"));
        }
        if text.contains(['?', '#']) {
            return Err(Complaint::new(
                "has a query or fragment",
                "routes match the path only; remove what begins at `?` or `#`",
            ));
        }
        let trimmed = text.trim_end_matches('/');
        if text != "/" && text != trimmed {
            let likely = if trimmed.is_empty() { "/" } else { trimmed };
            let what = "ends with `/`";
            return Err(Complaint::new(
                what,
                format!("write {likely}; it also matches everything below it"),
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

/// A folder on this machine; a relative one is taken from the configuration file's own. Whether it is there is seen
/// when it is used.
pub(in crate::config) struct Folder;

impl Kind for Folder {
    type Value = PathBuf;

    fn read(&self, text: &str, around: &Around<'_>) -> Result<PathBuf, Complaint> {
        if text.is_empty() {
            return Err(Complaint::new("is empty", "write a folder's path, or remove the key"));
        }
        Ok(around.folder.join(text))
    }

    fn absent(&self) -> PathBuf {
        PathBuf::new()
    }

    fn name(&self) -> String {
        "folder".into()
    }

    fn default_text(&self) -> Option<String> {
        None
    }

    fn schema(&self) -> Value {
        json!({ "type": "string", "minLength": 1 })
    }
}

/// Refuses what would not reach the upstream as written, or would leave the route's prefix.
pub(in crate::config) fn check_path(path: &str) -> Result<(), Complaint> {
    if !path.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&byte)) {
        let hint = "write it percent-encoded";
        return Err(Complaint::new("has a character in its path that is not allowed there", hint));
    }
    let segments = path.split('/').skip(1);
    if segments.clone().any(|segment| matches!(segment, "." | "..")) {
        return Err(Complaint::new("has a `.` or `..` in its path", "write the path without it"));
    }
    if segments.clone().any(str::is_empty) && path != "/" {
        return Err(Complaint::new("has an empty segment in its path", "write each `/` once"));
    }
    Ok(())
}
