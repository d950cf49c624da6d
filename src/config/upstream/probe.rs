//! `upstreams.NAME.health.probe`: a request of our own that says whether an upstream is well.

use std::ops::RangeInclusive;
use std::time::Duration;

use serde_json::{Value, json};

use crate::config::file::fault::Complaint;
use crate::config::key::reader::{Fields, Reader};
use crate::config::key::{Key, Section, Shape};
use crate::config::kind::many::Many;
use crate::config::kind::optional::Optional;
use crate::config::kind::path::Prefix;
use crate::config::kind::quantity::{Count, Span};
use crate::config::kind::{Around, Kind};

pub(super) static PROBE: Section = Section {
    name: "probe",
    shape: Shape::One,
    required: false,
    doc: "Active health probe. With it, a successful probe ends an ejection, and no client request \
        is the trial.",
    entries: &[&PATH, &INTERVAL, &TIMEOUT, &FAILURES, &STATUSES],
};

static PATH: Key<Optional<Prefix>> = Key::new(
    "path",
    Optional(Prefix),
    "Path that is probed with GET, below the path of `url` and with the upstream's key. Without it \
     no probe is sent.",
);

static INTERVAL: Key<Span> = Key::new(
    "interval",
    // Three failures of them take half a minute: requests find out sooner, and a probe is to find who comes back.
    Span { default: Duration::from_secs(10) },
    "Time between two probes, plus or minus a tenth; on each worker.",
);

static TIMEOUT: Key<Span> = Key::new(
    "timeout",
    // A list of models takes no thought.
    Span { default: Duration::from_secs(2) },
    "Time from requesting a stream to the response head of the probe.",
);

static FAILURES: Key<Count<u32>> = Key::new(
    "failures",
    // One is chance, two are bad luck.
    Count { default: 3, within: 1..=1_000 },
    "Eject the upstream after this many consecutive failed probes.",
);

static STATUSES: Key<Many<Status>> = Key::new(
    "statuses",
    Many(Status { default: 200..=299 }),
    "Statuses that mean that the upstream is healthy; any other status is a failure.",
);

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
    /// All keys are read, so that a fault in one is found though nothing is asked.
    pub(super) fn read(reader: &mut Reader<'_>, health: &Fields<'_>) -> Option<Self> {
        let fields = reader.section(health, &PROBE);
        let path = reader.get(&fields, &PATH);
        let interval = reader.get(&fields, &INTERVAL);
        let timeout = reader.get(&fields, &TIMEOUT);
        let failures = reader.get(&fields, &FAILURES);
        let statuses = reader.get_many(&fields, &STATUSES);
        let statuses = statuses.into_iter().map(|(_, one)| one).collect();
        path.map(|path| Self { path, interval, timeout, failures, statuses })
    }

    /// Whether an answer of this status says that the upstream is well.
    pub fn is_well(&self, status: u16) -> bool {
        self.statuses.iter().any(|well| well.contains(&status))
    }
}

/// `204`, or `2xx`.
struct Status {
    default: Statuses,
}

impl Kind for Status {
    type Value = Statuses;

    fn read(&self, text: &str, _: &Around<'_>) -> Result<Statuses, Complaint> {
        let class = text.strip_suffix("xx").and_then(|class| class.parse::<u16>().ok());
        match (class, text.parse()) {
            (Some(class @ 2..=5), _) => Ok(class * 100..=class * 100 + 99),
            (None, Ok(status @ 200..=599)) => Ok(status..=status),
            _ => Err(Complaint::new(
                "is not an HTTP status",
                "write one from 200 to 599, or a class: 2xx",
            )),
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
        let around = Around::new(&ProcessEnv, Path::new("/"));
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
