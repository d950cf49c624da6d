//! The keys of a route's own clocks.

use crate::config::key::{Key, Section, Shape};
use crate::config::kind::quantity::OwnSpan;

pub(in crate::config) static ROUTE_RESPONSE_HEAD: Key<OwnSpan> =
    Key::new("response_head", OwnSpan, "In place of the upstream's `deadlines.response_head`.");
pub(in crate::config) static ROUTE_FIRST_FRAME: Key<OwnSpan> =
    Key::new("first_frame", OwnSpan, "In place of the upstream's `deadlines.first_frame`.");
pub(in crate::config) static ROUTE_FRAME_GAP: Key<OwnSpan> =
    Key::new("frame_gap", OwnSpan, "In place of the upstream's `deadlines.frame_gap`.");

pub(in crate::config) static ROUTE_DEADLINES: Section = Section {
    name: "deadlines",
    shape: Shape::One,
    required: false,
    doc: "Clocks of this route's own, in place of its upstreams'.",
    entries: &[&ROUTE_RESPONSE_HEAD, &ROUTE_FIRST_FRAME, &ROUTE_FRAME_GAP],
};
