//! A probe of an upstream's health: what it asks, and the kind of value that only it has.

use std::ops::RangeInclusive;
use std::time::Duration;

use serde_json::{Value, json};

use super::file::fault::Complaint;
use super::kind::{Around, Kind};

/// A request of our own that says whether an upstream is well. Each worker sends it by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// Asked with GET, below the upstream's own path.
    pub path: String,
    /// From one to the next, a tenth more or less.
    pub interval: Duration,
    /// From asking for a stream to the answer's head.
    pub timeout: Duration,
    /// Failures in a row that eject.
    pub failures: u32,
    /// Who answers so is well.
    pub statuses: Vec<Statuses>,
}

/// A status, or all of a class.
pub type Statuses = RangeInclusive<u16>;

impl Probe {
    /// Whether an answer of this status says that the upstream is well.
    pub fn is_well(&self, status: u16) -> bool {
        self.statuses.iter().any(|well| well.contains(&status))
    }
}

/// `204`, or `2xx`.
pub(super) struct Status {
    pub(super) default: Statuses,
}

impl Kind for Status {
    type Value = Statuses;

    fn read(&self, text: &str, _: &Around<'_>) -> Result<Statuses, Complaint> {
        let class = text.strip_suffix("xx").and_then(|class| class.parse::<u16>().ok());
        match (class, text.parse()) {
            (Some(class @ 2..=5), _) => Ok(class * 100..=class * 100 + 99),
            (None, Ok(status @ 200..=599)) => Ok(status..=status),
            _ => {
                Err(Complaint::new("is not a status", "write one from 200 to 599, or a class: 2xx"))
            }
        }
    }

    fn absent(&self) -> Statuses {
        self.default.clone()
    }

    fn name(&self) -> String {
        "status from 200 to 599, or a class: `2xx` to `5xx`".into()
    }

    fn default_text(&self) -> Option<String> {
        Some(format!("[{}xx]", self.default.start() / 100))
    }

    fn schema(&self) -> Value {
        json!({ "anyOf": [
            { "type": "integer", "minimum": 200, "maximum": 599 },
            { "type": "string", "pattern": "^[2-5]([0-9][0-9]|xx)$|\\$\\{" },
        ] })
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::file::env::ProcessEnv;

    fn read(text: &str) -> Option<Statuses> {
        let around = Around { env: &ProcessEnv, folder: Path::new("/") };
        Status { default: 200..=299 }.read(text, &around).ok()
    }

    #[test]
    fn a_status_is_a_number_or_a_class() {
        assert_eq!(
            (read("204"), read("2xx"), read("4xx")),
            (Some(204..=204), Some(200..=299), Some(400..=499))
        );
        for wrong in ["1xx", "6xx", "99", "600", "xx", "ok", "", "2XX", "-200"] {
            assert_eq!(read(wrong), None, "{wrong:?}");
        }
        let probe = Probe {
            path: "/models".into(),
            interval: Duration::ZERO,
            timeout: Duration::ZERO,
            failures: 1,
            statuses: vec![200..=299, 401..=401],
        };
        assert!(
            probe.is_well(299) && probe.is_well(401) && !probe.is_well(400) && !probe.is_well(300)
        );
    }
}
