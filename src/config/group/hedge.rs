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
    doc: "Hedging: send a request to a second member when the first is late.",
    entries: &[&QUANTILE, &FLOOR, &CEILING, &BUDGET],
};

static QUANTILE: Key<Count<u32>> = Key::new(
    "quantile",
    // None: whoever loses may be billed.
    Count { default: 0, within: 0..=99 },
    "Percentile of the time to first byte after which the request is also sent to a second member \
     (95: only the slowest 5 %); 0 turns hedging off. The slower of the two requests is \
     cancelled, and may be billed nevertheless.",
);

static FLOOR: Key<Span> = Key::new(
    "floor",
    // Under it a second request costs more than a person can feel it to save.
    Span { default: Duration::from_millis(100) },
    "Minimum time before a hedge is sent, however fast the group is.",
);

static CEILING: Key<Span> = Key::new(
    "ceiling",
    // For so long people wait before they turn to something else (Miller, 1968; Nielsen, 1993).
    Span { default: Duration::from_secs(10) },
    "Maximum time before a hedge is sent. Also the time used while too few responses were \
     measured.",
);

static BUDGET: Key<Count<u32>> = Key::new(
    "budget",
    // What the 95th percentile costs ("The Tail at Scale", Dean and Barroso, 2013), and no more when all
    // are slow.
    Count { default: 5, within: 1..=100 },
    "Hedge budget: hedges per 100 requests of the group, on each worker, plus a reserve of ten.",
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
            let hint = "add a member with a weight above 0, or remove the line";
            reader.fault_in(&fields, &QUANTILE, "has no second member to send hedges to", hint);
        }
        Some(hedge)
    }
}
