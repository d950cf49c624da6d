//! Files of certificates and keys.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::{Around, Kind};
use crate::config::file::fault::Complaint;

/// Where it is, and what is in it; a reload reads it again.
pub(in crate::config) type PathAndPem = (PathBuf, Vec<u8>);

/// A PEM file's path and bytes. What is in it is never quoted.
pub(in crate::config) struct PemFile;

impl Kind for PemFile {
    type Value = Option<PathAndPem>;

    fn read(&self, text: &str, around: &Around<'_>) -> Result<Option<PathAndPem>, Complaint> {
        let path = around.folder.join(text.strip_prefix("file:").unwrap_or(text));
        if text.contains("-----BEGIN") {
            let what = "is the content of a file";
            return Err(Complaint::about_a_secret(what, "write the path of the file"));
        }
        match around.env.read_file(&path) {
            Ok(bytes) => Ok(Some((path, bytes))),
            Err(error) => Err(Complaint::new(format!("can't be read: {error}"), "")),
        }
    }

    fn absent(&self) -> Option<PathAndPem> {
        None
    }

    fn name(&self) -> String {
        "path".into()
    }

    fn default_text(&self) -> Option<String> {
        None
    }

    fn schema(&self) -> Value {
        json!({ "type": "string", "minLength": 1 })
    }
}
