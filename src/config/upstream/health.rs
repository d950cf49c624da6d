//! `upstreams.NAME.health`: when an upstream is left out of its groups, and for how long.

use std::time::Duration;

use super::probe::PROBE;
use crate::config::key::reader::{Fields, Reader, unwritten};
use crate::config::key::{Key, Section, Shape};
use crate::config::kind::quantity::{Count, Span};

pub(super) static HEALTH: Section = Section {
    name: "health",
    shape: Shape::One,
    required: false,
    doc: "Health: when the upstream is ejected from its groups. Each worker decides from its own \
        requests.",
    entries: &[
        &CONSECUTIVE_FAILURES,
        &FAILURE_PERCENT,
        &SLOW_PERCENT,
        &REQUESTS,
        &WINDOW,
        &EJECT,
        &LONGEST_EJECT,
        &PROBE,
    ],
};

static CONSECUTIVE_FAILURES: Key<Count<u32>> = Key::new(
    "consecutive_failures",
    // Envoy's, too: four may be chance.
    Count { default: 5, within: 0..=1_000_000 },
    "Eject the upstream after this many consecutive failures; 0: never.",
);

static FAILURE_PERCENT: Key<Count<u32>> = Key::new(
    "failure_percent",
    // Half: the clients notice, whatever the cause.
    Count { default: 50, within: 0..=100 },
    "Eject the upstream when this percentage of its requests failed; 0: never.",
);

static SLOW_PERCENT: Key<Count<u32>> = Key::new(
    "slow_percent",
    // Off: how long an answer takes to begin is mostly the prompt's doing. Members that serve the same
    // prompts can be compared.
    Count { default: 0, within: 0..=100_000 },
    "Eject the upstream when its time to first byte (p90) reaches this percentage of the median of \
     the group's other members and is at least 50 ms above it; 0: never.",
);

static REQUESTS: Key<Count<u32>> = Key::new(
    "requests",
    // Of twenty, ten failures are no chance either.
    Count { default: 20, within: 1..=1_000_000 },
    "Minimum number of requests within `window` before `failure_percent` and `slow_percent` apply.",
);

static WINDOW: Key<Span> = Key::new(
    "window",
    // Long enough for that many at two requests a second.
    Span { default: Duration::from_secs(10) },
    "Time over which `failure_percent` and `slow_percent` are measured. The window slides by \
     halves.",
);

static EJECT: Key<Span> = Key::new(
    "eject",
    // As long as a process takes to come back.
    Span { default: Duration::from_secs(5) },
    "Duration of an ejection. After it, one request is the trial; each relapse doubles the \
     duration.",
);

static LONGEST_EJECT: Key<Span> = Key::new(
    "longest_eject",
    // A trial request each five minutes costs nobody anything.
    Span { default: Duration::from_secs(5 * 60) },
    "Maximum duration of an ejection. After the upstream was healthy for this long, the next \
     ejection lasts `eject` again.",
);

/// What ejects one upstream from the choice of one worker. Plays a part only where a group leads to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HealthPolicy {
    /// Failures in a row that eject; 0 for never.
    pub consecutive_failures: u32,
    /// Failures of a hundred requests within the window that eject; 0 for never.
    pub failure_percent: u32,
    /// First bytes so much later than the peers' that they eject, in per cent of the peers' median, at
    /// nine of ten answers; 0 for never.
    pub slow_percent: u32,
    /// Requests within the window before a share or a slowness counts.
    pub requests: u32,
    /// How far back shares and first bytes are looked at.
    pub window: Duration,
    /// Out for so long; doubled with each relapse.
    pub eject: Duration,
    /// Out for so long at most; well for so long, relapses are forgiven.
    pub longest_eject: Duration,
}

impl HealthPolicy {
    /// `health` are the section's fields, in which those of its probe stand too.
    pub(super) fn read(reader: &mut Reader<'_>, health: &Fields<'_>) -> Self {
        let policy = Self {
            consecutive_failures: reader.get(health, &CONSECUTIVE_FAILURES),
            failure_percent: reader.get(health, &FAILURE_PERCENT),
            slow_percent: reader.get(health, &SLOW_PERCENT),
            requests: reader.get(health, &REQUESTS),
            window: reader.get(health, &WINDOW),
            eject: reader.get(health, &EJECT),
            longest_eject: reader.get(health, &LONGEST_EJECT),
        };
        if policy.eject > policy.longest_eject {
            let what = "is longer than longest_eject";
            reader.fault_in(health, &EJECT, what, "raise longest_eject");
        }
        policy
    }
}

impl Default for HealthPolicy {
    fn default() -> Self {
        unwritten(Self::read)
    }
}
