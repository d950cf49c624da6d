//! Values that end up in a header of ours: the key, which is never shown, and the names that go
//! with it.

use std::path::Path;

use secrecy::SecretString;
use serde_json::{Value, json};

use super::{Around, Kind};
use crate::config::file::fault::Complaint;

/// Longest value that is put into a header; keys in use are a tenth of it.
const LONGEST: usize = 4096;

/// A bearer key: written (better not), `${VAR}` or `file:PATH`.
pub(in crate::config) struct Secret;

impl Kind for Secret {
    type Value = Option<SecretString>;

    fn read(&self, text: &str, around: &Around<'_>) -> Result<Option<SecretString>, Complaint> {
        let key = match text.strip_prefix("file:") {
            Some(path) => Some(from_file(&around.folder.join(path), around)?),
            None => None,
        };
        check_key(key.as_deref().unwrap_or(text)).map(Some)
    }

    fn absent(&self) -> Option<SecretString> {
        None
    }

    fn name(&self) -> String {
        "secret: `${VAR}`, `file:PATH`".into()
    }

    fn default_text(&self) -> Option<String> {
        None
    }

    fn schema(&self) -> Value {
        json!({ "type": "string", "minLength": 1 })
    }
}

/// The file's text without the line break that editors and `echo` put at its end. The path is
/// named: it is no secret, and which file is missing is what the operator needs to know.
fn from_file(path: &Path, around: &Around<'_>) -> Result<String, Complaint> {
    let named = |what: &str| format!("names the file {}, which {what}", path.display());
    let bytes = around.env.read_file(path).map_err(|error| {
        Complaint::about_a_secret(named(&format!("can't be read: {error}")), "")
    })?;
    let text = String::from_utf8(bytes).map_err(|_| {
        Complaint::about_a_secret(named("is not UTF-8 text"), "a key has ASCII characters only")
    })?;
    Ok(text.trim_end_matches(['\n', '\r']).to_owned())
}

/// A key as a header can carry it (RFC 6750, section 2.1, is stricter still).
pub(in crate::config) fn check_key(key: &str) -> Result<SecretString, Complaint> {
    let refuse = |what: &str, hint: &str| Err(Complaint::about_a_secret(what, hint));
    let scheme = key.get(..7).is_some_and(|start| start.eq_ignore_ascii_case("bearer "));
    if key.is_empty() {
        return refuse("is empty", "set it, or remove the line to send no key");
    }
    if scheme {
        return refuse("begins with `Bearer`, which the proxy adds itself", "write only the key");
    }
    if key.bytes().any(|byte| byte.is_ascii_control()) {
        return refuse("contains a control character", "remove a pasted line break or tab");
    }
    if !key.bytes().all(|byte| byte.is_ascii_graphic()) {
        return refuse("contains a space or a non-ASCII character", "copy the key again");
    }
    if key.len() > LONGEST {
        return refuse("is longer than 4096 bytes", "check that it is the right file");
    }
    Ok(SecretString::from(key))
}

/// The text of a header that goes with the key. Empty, as from `${VAR:-}`, means none.
pub(in crate::config) struct HeaderText;

impl Kind for HeaderText {
    type Value = Option<String>;

    fn read(&self, text: &str, _: &Around<'_>) -> Result<Option<String>, Complaint> {
        if text.len() > LONGEST || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            // Not quoted: whoever pastes a key into the wrong line should not find it in a log.
            let what = "contains a space, a control character or a non-ASCII character";
            return Err(Complaint::about_a_secret(what, "copy the value again"));
        }
        Ok((!text.is_empty()).then(|| text.to_owned()))
    }

    fn absent(&self) -> Option<String> {
        None
    }

    fn name(&self) -> String {
        "text".into()
    }

    fn default_text(&self) -> Option<String> {
        None
    }

    fn schema(&self) -> Value {
        json!({ "type": "string" })
    }
}
