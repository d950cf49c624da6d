//! Values of `redis` that no other section has: a file's bytes, and how keys begin.

use serde_json::{Value, json};

use super::refuse;
use crate::config::file::fault::Complaint;
use crate::config::kind::{Around, Kind};

/// The longest beginning of keys: Redis keeps it once for each of them.
const LONGEST: usize = 64;

/// The bytes of a PEM file; they are read again at a reload. What is in it is never quoted.
pub(super) struct Pem;

impl Kind for Pem {
    type Value = Option<Vec<u8>>;

    fn read(&self, text: &str, around: &Around<'_>) -> Result<Option<Vec<u8>>, Complaint> {
        if text.contains("-----BEGIN") {
            return refuse("is the content of a file", "write the path of the file");
        }
        let path = around.folder.join(text.strip_prefix("file:").unwrap_or(text));
        match around.env.read_file(&path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) => Err(Complaint::new(format!("can't be read: {error}"), "")),
        }
    }

    fn absent(&self) -> Option<Vec<u8>> {
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

/// What keys begin with.
pub(super) struct PrefixText {
    pub(super) default: &'static str,
}

impl Kind for PrefixText {
    type Value = String;

    fn read(&self, text: &str, _: &Around<'_>) -> Result<String, Complaint> {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:/".contains(&byte);
        if text.is_empty() || text.len() > LONGEST || !text.bytes().all(fits) {
            let what = format!("is not a prefix of 1 to {LONGEST} characters");
            return Err(Complaint::new(what, "use letters, digits and `-_.:/`"));
        }
        Ok(text.to_owned())
    }

    fn absent(&self) -> String {
        self.default.to_owned()
    }

    fn name(&self) -> String {
        "text".into()
    }

    fn default_text(&self) -> Option<String> {
        Some(self.default.into())
    }

    fn schema(&self) -> Value {
        json!({ "type": "string", "pattern": "^[A-Za-z0-9_.:/-]{1,64}$|\\$\\{" })
    }
}
