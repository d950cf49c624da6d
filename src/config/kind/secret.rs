//! Values that end up in a header of ours: the key, which is never shown, and the names that go
//! with it.

use std::path::Path;

use secrecy::SecretString;
use serde_json::{Value, json};

use super::{Around, Kind};
use crate::config::file::fault::Complaint;

/// Longest value that is put into a header; keys in use are a tenth of it.
const LONGEST: usize = 4096;

/// What may stand at the ends of a key by accident.
const BLANKS: [char; 4] = [' ', '\t', '\r', '\n'];

/// A bearer key: written (better not), `${VAR}` or `file:PATH`.
pub(in crate::config) struct Secret;

impl Kind for Secret {
    type Value = Option<SecretString>;

    fn read(&self, text: &str, around: &Around<'_>) -> Result<Option<SecretString>, Complaint> {
        match text.strip_prefix("file:") {
            Some(path) => read_key(&from_file(&around.folder.join(path), around)?, around),
            None => read_key(text, around),
        }
        .map(Some)
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

/// The file's text without the one line break that editors and `echo` put at its end. The path is
/// named: it is no secret, and which file is missing is what the operator needs to know.
fn from_file(path: &Path, around: &Around<'_>) -> Result<String, Complaint> {
    let named = |what: &str| format!("names the file {}, which {what}", path.display());
    let bytes = around.env.read_file(path).map_err(|error| {
        Complaint::about_a_secret(named(&format!("can't be read: {error}")), "")
    })?;
    let text = String::from_utf8(bytes).map_err(|_| {
        Complaint::about_a_secret(named("is not UTF-8 text"), "a key has ASCII characters only")
    })?;
    Ok(text.strip_suffix('\n').map_or(&*text, |line| line.trim_end_matches('\r')).to_owned())
}

/// A key as a header can carry it, freed of what came with it on its way: see [`cleaned`].
pub(in crate::config) fn read_key(
    text: &str,
    around: &Around<'_>,
) -> Result<SecretString, Complaint> {
    check_key(cleaned(text, around))
}

/// Text without what shells, editors and `.env` files leave around a key: a byte order mark, line ends and
/// blanks at its ends, one pair of quotes. No key has them, and each made an upstream answer 401. What was
/// left out is said, never the text.
fn cleaned<'t>(text: &'t str, around: &Around<'_>) -> &'t str {
    let mut left_out = Vec::new();
    let mut rest = text;
    let mut take = |part: &'static str, now: &'t str, before: &'t str| {
        if now.len() < before.len() {
            left_out.push(part);
        }
        now
    };
    rest = take("a byte order mark", rest.trim_start_matches('\u{feff}'), rest);
    rest = take("line ends or blanks", rest.trim_matches(BLANKS), rest);
    let unquoted = ['"', '\''].into_iter().find_map(|quote| {
        rest.strip_prefix(quote)?.strip_suffix(quote).filter(|inside| !inside.contains(quote))
    });
    rest = take("quotes", unquoted.unwrap_or(rest), rest);
    rest = take("line ends or blanks inside the quotes", rest.trim_matches(BLANKS), rest);
    if !left_out.is_empty() {
        let what = format!("has {} around it, which were left out", left_out.join(" and "));
        let hint = "remove them from the variable or file";
        around.remark(Complaint::about_a_secret(what, hint));
    }
    rest
}

/// The value of a header or of a parameter that is sent upstream: written, `${VAR}` or `file:PATH`. It is treated as
/// a key, for it may be one.
pub(in crate::config) struct SecretText;

impl Kind for SecretText {
    type Value = SecretString;

    fn read(&self, text: &str, around: &Around<'_>) -> Result<SecretString, Complaint> {
        let refuse = |what: &str, hint: &str| Err(Complaint::about_a_secret(what, hint));
        let path = text.strip_prefix("file:");
        let from_file =
            path.map(|path| from_file(&around.folder.join(path), around)).transpose()?;
        let text = from_file.as_deref().unwrap_or(text);
        if text.is_empty() {
            return refuse("is empty", "set it, or remove the line");
        }
        if !text.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ')
            || text.trim_ascii() != text
        {
            let what = "contains a control character, a non-ASCII character or a space at an end";
            return refuse(what, "remove it");
        }
        if text.len() > LONGEST {
            return refuse("is longer than 4096 bytes", "check that it is the right file");
        }
        Ok(SecretString::from(text))
    }

    fn absent(&self) -> SecretString {
        SecretString::default()
    }

    fn name(&self) -> String {
        "text, `${VAR}`, `file:PATH`".into()
    }

    fn default_text(&self) -> Option<String> {
        None
    }

    fn schema(&self) -> Value {
        json!({ "type": ["string", "number", "boolean"] })
    }
}

/// A key as a header can carry it (RFC 6750, section 2.1, is stricter still).
fn check_key(key: &str) -> Result<SecretString, Complaint> {
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

    fn read(&self, text: &str, around: &Around<'_>) -> Result<Option<String>, Complaint> {
        let text = cleaned(text, around);
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
