//! The keys of what is bounded: for all, for a route, for an upstream.

use crate::config::key::{Key, Section, Shape};
use crate::config::kind::optional::Optional;
use crate::config::kind::quantity::Count;
use crate::config::limits::MOST;

pub(in crate::config) static ROUTE_STREAMS: Key<Optional<Count<usize>>> = Key::new(
    "streams",
    Optional(Count::within(1..=MOST)),
    "Requests in flight on it at once, over all workers; beyond it 429.",
);

pub(in crate::config) static ROUTE_LIMITS: Section = Section {
    name: "limits",
    shape: Shape::One,
    required: false,
    doc: "Bounds of this route's own, beside those for all.",
    entries: &[&ROUTE_STREAMS],
};
