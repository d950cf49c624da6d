//! The keys of a group of upstreams.

use super::names;
use crate::config::WhenEjected;
use crate::config::defaults as d;
use crate::config::group::{PickBy, Trigger};
use crate::config::key::{Key, Section, Shape};
use crate::config::kind::many::Many;
use crate::config::kind::quantity::{Count, Span};
use crate::config::kind::scalar::Choice;

/// Shares are told apart to a millionth.
const LARGEST_WEIGHT: u32 = 1_000_000;
/// Nobody has more kinds of upstream than that.
const LAST_TIER: u32 = 63;

pub(in crate::config) static MEMBER_UPSTREAM: Key<names::UpstreamName> =
    Key::required("upstream", names::UpstreamName, "The upstream's name.");
pub(in crate::config) static WEIGHT: Key<Count<u32>> = Key::new(
    "weight",
    Count { default: d::WEIGHT, within: 0..=LARGEST_WEIGHT },
    "Its share of the tier's requests, beside the others' weights; 0 takes none at all.",
);
pub(in crate::config) static TIER: Key<Count<u32>> = Key::new(
    "tier",
    Count { default: d::TIER, within: 0..=LAST_TIER },
    "Lower tiers are asked first; a higher one only when no lower one is left to ask.",
);

pub(in crate::config) static MEMBERS: Section = Section {
    name: "members",
    shape: Shape::List,
    required: true,
    doc: "The upstreams, at most 64.",
    entries: &[&MEMBER_UPSTREAM, &WEIGHT, &TIER],
};

pub(in crate::config) static PICK: Key<PickBy> = Key::new(
    "pick",
    PickBy,
    "Who of a tier is asked first: by weight; with the fewest requests under way on this worker for \
     its weight; or always the same one for the same value of a request header \
     (`sticky:authorization`: by the client's key).",
);
pub(in crate::config) static FAILOVER_ON: Key<Many<Trigger>> = Key::new(
    "failover_on",
    Many(Trigger { default: d::FAILOVER_ON }),
    "What else leads to the next upstream while nothing was sent to the client. A request that \
     provably was not processed (no connection, no free stream, refused, disowned) always does. \
     All but 429 and 503 may pay twice. `first_frame_timeout` holds each answer's head back until \
     its first frame.",
);

pub(in crate::config) static RETRY_TIMES: Key<Count<u32>> = Key::new(
    "times",
    Count { default: d::RETRY_TIMES, within: 0..=10 },
    "How often those that failed are asked again, after the failures that also lead to the next one.",
);
pub(in crate::config) static RETRY_PAUSE: Key<Span> = Key::new(
    "pause",
    Span { default: d::RETRY_PAUSE },
    "The first pause at most, any time up to it; doubled each time.",
);
pub(in crate::config) static LONGEST_PAUSE: Key<Span> = Key::new(
    "longest_pause",
    Span { default: d::RETRY_LONGEST_PAUSE },
    "Any pause at most. An upstream whose `retry-after` is longer is not asked again.",
);
pub(in crate::config) static RETRY_BUDGET: Key<Count<u32>> = Key::new(
    "budget",
    Count { default: d::RETRY_BUDGET, within: 0..=100 },
    "Retries for each hundred requests of the group, on each worker, and ten in reserve.",
);

pub(in crate::config) static RETRY: Section = Section {
    name: "retry",
    shape: Shape::One,
    required: false,
    doc: "Asking again once all members failed.",
    entries: &[&RETRY_TIMES, &RETRY_PAUSE, &LONGEST_PAUSE, &RETRY_BUDGET],
};

pub(in crate::config) static HEDGE_QUANTILE: Key<Count<u32>> = Key::new(
    "quantile",
    Count { default: d::HEDGE_QUANTILE, within: 0..=99 },
    "How many of a hundred answers begin sooner than a second member is asked; 0 for never. The one \
     that answers later is cancelled, and may be billed all the same.",
);
pub(in crate::config) static HEDGE_FLOOR: Key<Span> = Key::new(
    "floor",
    Span { default: d::HEDGE_FLOOR },
    "A second member is not asked before this time, however quick the group is.",
);
pub(in crate::config) static HEDGE_CEILING: Key<Span> = Key::new(
    "ceiling",
    Span { default: d::HEDGE_CEILING },
    "Nor later than this; and at this time while too few answers are known.",
);
pub(in crate::config) static HEDGE_BUDGET: Key<Count<u32>> = Key::new(
    "budget",
    Count { default: d::HEDGE_BUDGET, within: 1..=100 },
    "Hedges for each hundred requests of the group, on each worker, and ten in reserve.",
);

pub(in crate::config) static HEDGE: Section = Section {
    name: "hedge",
    shape: Shape::One,
    required: false,
    doc: "Asking a second member while the first is late.",
    entries: &[&HEDGE_QUANTILE, &HEDGE_FLOOR, &HEDGE_CEILING, &HEDGE_BUDGET],
};

pub(in crate::config) static WHEN_ALL_EJECTED: Key<Choice<WhenEjected>> = Key::new(
    "when_all_ejected",
    Choice {
        of: &[("ask", WhenEjected::Ask), ("refuse", WhenEjected::Refuse)],
        default: WhenEjected::Ask,
    },
    "While every member is ejected: ask as if none were, or answer 503 at once.",
);

pub(in crate::config) static GROUPS: Section = Section {
    name: "groups",
    shape: Shape::Named,
    required: false,
    doc: "Upstreams that stand in for each other, under a name that routes lead to.",
    entries: &[&MEMBERS, &PICK, &FAILOVER_ON, &RETRY, &HEDGE, &WHEN_ALL_EJECTED],
};
