//! How keys begin in Redis.

use serde_json::{Value, json};

use crate::config::file::fault::Complaint;
use crate::config::kind::{Around, Kind};

/// The longest beginning of keys: Redis keeps it once for each of them.
const LONGEST: usize = 64;

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
