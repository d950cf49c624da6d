//! The keys of an upstream's health.

use crate::config::defaults as d;
use crate::config::kind::{Key, Section, Shape};
use crate::config::quantity::{Count, Span};

pub(in crate::config) static CONSECUTIVE_FAILURES: Key<Count> = Key::new(
    "consecutive_failures",
    Count { default: d::CONSECUTIVE_FAILURES as u64, within: 0..=1_000_000 },
    "Failures in a row that eject it; 0 for never.",
);
pub(in crate::config) static FAILURE_PERCENT: Key<Count> = Key::new(
    "failure_percent",
    Count { default: d::FAILURE_PERCENT as u64, within: 0..=100 },
    "Failures of a hundred requests that eject it; 0 for never.",
);
pub(in crate::config) static SLOW_PERCENT: Key<Count> = Key::new(
    "slow_percent",
    Count { default: d::SLOW_PERCENT as u64, within: 0..=100_000 },
    "Its first byte (p90) beside the median of its group's other members, in per cent, that ejects it, \
     if it is also 50 ms later; 0 for never.",
);
pub(in crate::config) static HEALTH_REQUESTS: Key<Count> = Key::new(
    "requests",
    Count { default: d::HEALTH_REQUESTS as u64, within: 1..=1_000_000 },
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
    ],
};
