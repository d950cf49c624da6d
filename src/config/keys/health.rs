//! The keys of an upstream's health.

use crate::config::defaults as d;
use crate::config::key::{Key, Section, Shape};
use crate::config::kind::many::Many;
use crate::config::kind::optional::Optional;
use crate::config::kind::quantity::{Count, Span};
use crate::config::probe::Status;
use crate::config::route::Prefix;

pub(in crate::config) static CONSECUTIVE_FAILURES: Key<Count<u32>> = Key::new(
    "consecutive_failures",
    Count { default: d::CONSECUTIVE_FAILURES, within: 0..=1_000_000 },
    "Failures in a row that eject it; 0 for never.",
);
pub(in crate::config) static FAILURE_PERCENT: Key<Count<u32>> = Key::new(
    "failure_percent",
    Count { default: d::FAILURE_PERCENT, within: 0..=100 },
    "Failures of a hundred requests that eject it; 0 for never.",
);
pub(in crate::config) static SLOW_PERCENT: Key<Count<u32>> = Key::new(
    "slow_percent",
    Count { default: d::SLOW_PERCENT, within: 0..=100_000 },
    "Its first byte (p90) beside the median of its group's other members, in per cent, that ejects it, \
     if it is also 50 ms later; 0 for never.",
);
pub(in crate::config) static HEALTH_REQUESTS: Key<Count<u32>> = Key::new(
    "requests",
    Count { default: d::HEALTH_REQUESTS, within: 1..=1_000_000 },
    "Requests within the window before the two above count.",
);
pub(in crate::config) static HEALTH_WINDOW: Key<Span> = Key::new(
    "window",
    Span { default: d::HEALTH_WINDOW },
    "How far back they look; it slides by halves.",
);
pub(in crate::config) static EJECT: Key<Span> = Key::new(
    "eject",
    Span { default: d::EJECT },
    "Out for so long, then one request is its trial; doubled with each relapse.",
);
pub(in crate::config) static LONGEST_EJECT: Key<Span> = Key::new(
    "longest_eject",
    Span { default: d::LONGEST_EJECT },
    "Out for so long at most; well for so long, its relapses are forgiven.",
);

pub(in crate::config) static PROBE_PATH: Key<Optional<Prefix>> = Key::new(
    "path",
    Optional(Prefix),
    "Asked with GET below the path of `url`, with the upstream's key; without it nothing is asked.",
);
pub(in crate::config) static PROBE_INTERVAL: Key<Span> = Key::new(
    "interval",
    Span { default: d::PROBE_INTERVAL },
    "From one probe to the next, a tenth more or less; on each worker.",
);
pub(in crate::config) static PROBE_TIMEOUT: Key<Span> = Key::new(
    "timeout",
    Span { default: d::PROBE_TIMEOUT },
    "From asking for a stream to the answer's head.",
);
pub(in crate::config) static PROBE_FAILURES: Key<Count<u32>> = Key::new(
    "failures",
    Count { default: d::PROBE_FAILURES, within: 1..=1_000 },
    "Failures in a row that eject it.",
);
pub(in crate::config) static PROBE_STATUSES: Key<Many<Status>> = Key::new(
    "statuses",
    Many(Status { default: 200..=299 }),
    "Answers that say that it is well; any other is a failure.",
);

pub(in crate::config) static PROBE: Section = Section {
    name: "probe",
    shape: Shape::One,
    required: false,
    doc: "A request of our own. While there are probes, one of them takes an ejected upstream back, and no \
          client's request is its trial.",
    entries: &[&PROBE_PATH, &PROBE_INTERVAL, &PROBE_TIMEOUT, &PROBE_FAILURES, &PROBE_STATUSES],
};

pub(in crate::config) static HEALTH: Section = Section {
    name: "health",
    shape: Shape::One,
    required: false,
    doc: "When its groups leave it out; each worker decides by what it saw itself.",
    entries: &[
        &CONSECUTIVE_FAILURES,
        &FAILURE_PERCENT,
        &SLOW_PERCENT,
        &HEALTH_REQUESTS,
        &HEALTH_WINDOW,
        &EJECT,
        &LONGEST_EJECT,
        &PROBE,
    ],
};
