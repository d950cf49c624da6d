//! The kinds of value that are neither quantity nor URL nor secret.

use std::num::NonZeroUsize;

use serde_json::{Value, json};

use super::{Around, Kind};
use crate::config::file::fault::{Complaint, nearest};

/// `true` or `false`.
pub(in crate::config) struct Flag {
    pub(in crate::config) default: bool,
}

impl Kind for Flag {
    type Value = bool;

    fn read(&self, text: &str, _: &Around<'_>) -> Result<bool, Complaint> {
        match text {
            "true" | "True" | "TRUE" => Ok(true),
            "false" | "False" | "FALSE" => Ok(false),
            other => {
                let likely = match &*other.to_ascii_lowercase() {
                    "yes" | "on" | "1" | "y" => "write true",
                    "no" | "off" | "0" | "n" => "write false",
                    _ => "write true or false",
                };
                Err(Complaint::new("is neither true nor false", likely))
            }
        }
    }

    fn absent(&self) -> bool {
        self.default
    }

    fn name(&self) -> String {
        "true or false".into()
    }

    fn default_text(&self) -> Option<String> {
        Some(self.default.to_string())
    }

    fn schema(&self) -> Value {
        json!({ "anyOf": [
            { "type": "boolean" },
            { "type": "string", "pattern": "^(true|false)$|\\$\\{" },
        ] })
    }
}

/// One of a few words, the first of which is the default.
pub(in crate::config) struct Choice<T: 'static> {
    pub(in crate::config) of: &'static [(&'static str, T)],
    pub(in crate::config) default: T,
}

impl<T: Copy + PartialEq + Sync> Kind for Choice<T> {
    type Value = T;

    fn read(&self, text: &str, _: &Around<'_>) -> Result<T, Complaint> {
        if let Some((_, value)) = self.of.iter().find(|(word, _)| *word == text) {
            return Ok(*value);
        }
        let words: Vec<_> = self.of.iter().map(|(word, _)| *word).collect();
        let hint = match nearest(&text.to_ascii_lowercase(), words.iter().copied()) {
            Some(word) => format!("did you mean {word}? Allowed: {}", words.join(", ")),
            None => format!("write one of {}", words.join(", ")),
        };
        Err(Complaint::new("is not an allowed value", hint))
    }

    fn absent(&self) -> T {
        self.default
    }

    fn name(&self) -> String {
        self.of.iter().map(|(word, _)| format!("`{word}`")).collect::<Vec<_>>().join(", ")
    }

    fn default_text(&self) -> Option<String> {
        let default = self.of.iter().find(|(_, value)| *value == self.default);
        default.map(|(word, _)| (*word).to_owned())
    }

    fn schema(&self) -> Value {
        let words: Vec<_> = self.of.iter().map(|(word, _)| *word).collect();
        json!({ "anyOf": [{ "enum": words }, { "type": "string", "pattern": "\\$\\{" }] })
    }
}

/// Worker threads; one per core where it is not written.
pub(in crate::config) struct Workers;

/// More threads than any one machine has cores; a larger number is a slip.
const MOST_WORKERS: usize = 1024;

impl Kind for Workers {
    type Value = NonZeroUsize;

    fn read(&self, text: &str, _: &Around<'_>) -> Result<NonZeroUsize, Complaint> {
        if text == "auto" {
            return Ok(self.absent());
        }
        let number = text.parse().ok().filter(|number: &NonZeroUsize| number.get() <= MOST_WORKERS);
        number.ok_or_else(|| {
            let hint = format!("write a number from 1 to {MOST_WORKERS}, or auto");
            Complaint::new("is not a number of workers", hint)
        })
    }

    fn absent(&self) -> NonZeroUsize {
        std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN)
    }

    fn name(&self) -> String {
        format!("number, 1–{MOST_WORKERS}, or `auto` (one per core)")
    }

    fn default_text(&self) -> Option<String> {
        Some("auto".into())
    }

    fn schema(&self) -> Value {
        json!({ "anyOf": [
            { "type": "integer", "minimum": 1, "maximum": MOST_WORKERS },
            { "type": "string", "pattern": "^auto$|^[0-9]+$|\\$\\{" },
        ] })
    }
}
