//! `access_log`: where one line per request goes.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::file::fault::{Complaint, nearest};
use super::key::Key;
use super::kind::{Around, Kind};

pub(super) static ACCESS_LOG: Key<Log> = Key::new(
    "access_log",
    // Data belongs on stdout, logs on stderr; `firstbyte > access.jsonl` does what it says.
    Log { default: AccessLog::Stdout },
    "Where the access log is written. SIGHUP opens a file again, for log rotation.",
);

/// Where the access log goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccessLog {
    /// Nowhere.
    Off,
    /// On stdout.
    Stdout,
    /// The same on stderr.
    Stderr,
    /// The same appended to a file.
    File(PathBuf),
}

/// `off`, `stdout`, `stderr` or `file:PATH`.
pub(super) struct Log {
    default: AccessLog,
}

impl Kind for Log {
    type Value = AccessLog;

    fn read(&self, text: &str, around: &Around<'_>) -> Result<AccessLog, Complaint> {
        match (text, text.strip_prefix("file:")) {
            ("off", _) => Ok(AccessLog::Off),
            ("stdout", _) => Ok(AccessLog::Stdout),
            ("stderr", _) => Ok(AccessLog::Stderr),
            (_, Some(path)) if !path.is_empty() => Ok(AccessLog::File(around.folder.join(path))),
            (other, _) => {
                let likely = if other.contains(['/', '.']) { "file:" } else { "" };
                let hint = match nearest(other, ["off", "stdout", "stderr"]) {
                    _ if !likely.is_empty() => "write `file:` before the path".to_owned(),
                    Some(word) => format!("did you mean {word}?"),
                    None => "write off, stdout, stderr or file:PATH".to_owned(),
                };
                Err(Complaint::new("is not a destination for the access log", hint))
            }
        }
    }

    fn absent(&self) -> AccessLog {
        self.default.clone()
    }

    fn name(&self) -> String {
        "`off`, `stdout`, `stderr`, `file:PATH`".into()
    }

    fn default_text(&self) -> Option<String> {
        Some(show_log(&self.default))
    }

    fn schema(&self) -> Value {
        json!({ "type": "string", "pattern": "^(off|stdout|stderr|file:.+)$|\\$\\{" })
    }
}

/// As it is written in the file.
pub(super) fn show_log(log: &AccessLog) -> String {
    match log {
        AccessLog::Off => "off".into(),
        AccessLog::Stdout => "stdout".into(),
        AccessLog::Stderr => "stderr".into(),
        AccessLog::File(path) => format!("file:{}", path.display()),
    }
}
