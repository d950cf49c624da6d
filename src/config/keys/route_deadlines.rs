//! The keys of a route's own clocks.

use crate::config::key::{Key, Section, Shape};
use crate::config::kind::optional::Optional;
use crate::config::kind::quantity::Span;

pub(in crate::config) static ROUTE_RESPONSE_HEAD: Key<Optional<Span>> = Key::new(
    "response_head",
    Optional(Span::ANY),
    "In place of the upstream's `deadlines.response_head`.",
);
pub(in crate::config) static ROUTE_FIRST_FRAME: Key<Optional<Span>> = Key::new(
    "first_frame",
    Optional(Span::ANY),
    "In place of the upstream's `deadlines.first_frame`.",
);
pub(in crate::config) static ROUTE_FRAME_GAP: Key<Optional<Span>> =
    Key::new("frame_gap", Optional(Span::ANY), "In place of the upstream's `deadlines.frame_gap`.");

pub(in crate::config) static ROUTE_DEADLINES: Section = Section {
    name: "deadlines",
    shape: Shape::One,
    required: false,
    doc: "Clocks of this route's own, in place of its upstreams'.",
    entries: &[&ROUTE_RESPONSE_HEAD, &ROUTE_FIRST_FRAME, &ROUTE_FRAME_GAP],
};
