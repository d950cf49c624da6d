//! `groups.NAME.hedge`: asking a second member while the first is late.

use std::time::Duration;

use super::members::Member;
use crate::config::key::reader::{Fields, Reader};
use crate::config::key::{Key, Section, Shape};
use crate::config::kind::quantity::{Count, Span};

pub(super) static HEDGE: Section = Section {
    name: "hedge",
    shape: Shape::One,
    required: false,
    doc: "Asking a second member while the first is late.",
    entries: &[&QUANTILE, &FLOOR, &CEILING, &BUDGET],
};

static QUANTILE: Key<Count<u32>> = Key::new(
    "quantile",
    // None: whoever loses may be billed.
    Count { default: 0, within: 0..=99 },
    "How many of a hundred answers begin sooner than a second member is asked; 0 for never. The one \
     that answers later is cancelled, and may be billed all the same.",
);

static FLOOR: Key<Span> = Key::new(
    "floor",
    // Under it a second request costs more than a person can feel it to save.
    Span { default: Duration::from_millis(100) },
    "A second member is not asked before this time, however quick the group is.",
);

static CEILING: Key<Span> = Key::new(
    "ceiling",
    // For so long people wait before they turn to something else (Miller, 1968; Nielsen, 1993).
    Span { default: Duration::from_secs(10) },
    "Nor later than this; and at this time while too few answers are known.",
);

static BUDGET: Key<Count<u32>> = Key::new(
    "budget",
    // What the 95th percentile costs ("The Tail at Scale", Dean and Barroso, 2013), and no more when all
    // are slow.
    Count { default: 5, within: 1..=100 },
    "Hedges for each hundred requests of the group, on each worker, and ten in reserve.",
);

/// Asking a second member while the first has not answered; the first answer counts, and the other
/// request is cancelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hedge {
    /// How many of a hundred answers come sooner than a hedge is sent; 1 to 99.
    pub quantile: u32,
    /// A hedge is not sent before this time.
    pub floor: Duration,
    /// A hedge is sent by this time at the latest, and at this time while too few answers are known.
    pub ceiling: Duration,
    /// Hedges for each hundred requests.
    pub budget: u32,
}

impl Hedge {
    /// What is not to be is not looked at further: other keys of the section may stand there for later.
    pub(super) fn read(
        reader: &mut Reader<'_>,
        group: &Fields<'_>,
        members: &[Member],
    ) -> Option<Self> {
        let fields = reader.section(group, &HEDGE);
        let hedge = Self {
            quantile: reader.get(&fields, &QUANTILE),
            floor: reader.get(&fields, &FLOOR),
            ceiling: reader.get(&fields, &CEILING),
            budget: reader.get(&fields, &BUDGET),
        };
        if hedge.quantile == 0 {
            return None;
        }
        if hedge.floor > hedge.ceiling {
            reader.fault_in(&fields, &FLOOR, "is longer than ceiling", "raise ceiling");
        }
        if members.iter().filter(|member| member.weight > 0).count() == 1 {
            let hint = "add a member with a weight, or leave it out";
            reader.fault_in(&fields, &QUANTILE, "has nobody else to ask", hint);
        }
        Some(hedge)
    }
}
