//! `groups.NAME.retry`: asking again once all members failed.

use std::time::Duration;

use crate::config::key::reader::{Fields, Reader, unwritten};
use crate::config::key::{Key, Section, Shape};
use crate::config::kind::quantity::{Count, Span};

pub(super) static RETRY: Section = Section {
    name: "retry",
    shape: Shape::One,
    required: false,
    doc: "Retries after all members of the group failed.",
    entries: &[&TIMES, &PAUSE, &LONGEST_PAUSE, &BUDGET],
};

static TIMES: Key<Count<u32>> = Key::new(
    "times",
    // None: the SDKs retry by themselves, and two who do so multiply.
    Count { default: 0, within: 0..=10 },
    "How often the failed members are retried, after the failures that also lead to a failover.",
);

static PAUSE: Key<Span> = Key::new(
    "pause",
    // Half of the SDKs' first pause, since full jitter halves it again.
    Span { default: Duration::from_millis(250) },
    "Maximum pause before the first retry; doubled for each further retry. The pause is a random \
     time up to this maximum.",
);

static LONGEST_PAUSE: Key<Span> = Key::new(
    "longest_pause",
    // Under the SDKs' longest pause of 8 s: what must wait longer is better told to them.
    Span { default: Duration::from_secs(5) },
    "Maximum pause before any retry. An upstream whose `retry-after` is longer is not retried.",
);

static BUDGET: Key<Count<u32>> = Key::new(
    "budget",
    // As Finagle's: a fifth more load is what an upstream in trouble can be expected to bear.
    Count { default: 20, within: 0..=100 },
    "Retry budget: retries per 100 requests of the group, on each worker, plus a reserve of ten.",
);

/// Asking again those that failed; each time after a pause, and never beyond the budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retry {
    /// How often at most; 0 for never.
    pub times: u32,
    /// The first pause at most; it doubles each time.
    pub pause: Duration,
    /// Any pause at most. Who asks to be left alone for longer is not asked again.
    pub longest_pause: Duration,
    /// Retries for each hundred requests.
    pub budget: u32,
}

impl Retry {
    pub(super) fn read(reader: &mut Reader<'_>, group: &Fields<'_>) -> Self {
        let fields = reader.section(group, &RETRY);
        let retry = Self {
            times: reader.get(&fields, &TIMES),
            pause: reader.get(&fields, &PAUSE),
            longest_pause: reader.get(&fields, &LONGEST_PAUSE),
            budget: reader.get(&fields, &BUDGET),
        };
        if retry.pause > retry.longest_pause {
            reader.fault_in(&fields, &PAUSE, "is longer than longest_pause", "raise longest_pause");
        }
        retry
    }
}

impl Default for Retry {
    fn default() -> Self {
        unwritten(Self::read)
    }
}
