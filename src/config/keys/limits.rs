//! The keys of what is bounded: for all, for a route, for an upstream.

use crate::config::defaults as d;
use crate::config::key::{Key, Section, Shape};
use crate::config::kind::optional::Optional;
use crate::config::kind::quantity::{Count, Size};
use crate::config::memory::Memory;

/// hyper's read buffer can't be smaller.
const SMALLEST_HEAD: usize = 8 * 1024;
/// Half of what `http::HeaderMap` can hold.
const MOST_HEADERS: usize = 16_384;
/// More than any machine has sockets or memory for.
const MOST: usize = 10_000_000;

pub(in crate::config) static CONNECTIONS: Key<Count<usize>> = Key::new(
    "connections",
    Count { default: d::CONNECTIONS, within: 1..=MOST },
    "Client connections at once, over all workers, or as many as there are descriptors for. Beyond it the one \
     without a request for longest is closed for the newcomer; where all have one, 503.",
);
pub(in crate::config) static STREAMS: Key<Count<usize>> = Key::new(
    "streams",
    Count { default: d::STREAMS, within: 1..=MOST },
    "Requests in flight at once, over all workers; beyond it 503.",
);
pub(in crate::config) static HEADER_BYTES: Key<Size<usize>> = Key::new(
    "header_bytes",
    Size { default: d::HEADER_BYTES, within: SMALLEST_HEAD..=(16 << 20) },
    "Bytes of a request head; beyond it 431.",
);
pub(in crate::config) static HEADERS: Key<Count<usize>> = Key::new(
    "headers",
    Count { default: d::HEADERS, within: 1..=MOST_HEADERS },
    "Header lines of a request; beyond it 431.",
);
pub(in crate::config) static RESPONSE_HEADER_BYTES: Key<Size<usize>> = Key::new(
    "response_header_bytes",
    Size { default: d::RESPONSE_HEADER_BYTES, within: SMALLEST_HEAD..=(8 << 20) },
    "Bytes of an answer's head, and of its trailers (names, values, and 32 for each line); beyond it 502.",
);
pub(in crate::config) static RESPONSE_HEADERS: Key<Count<usize>> = Key::new(
    "response_headers",
    Count { default: d::RESPONSE_HEADERS, within: 1..=MOST_HEADERS },
    "Header lines of an answer, and of its trailers; beyond it 502.",
);
pub(in crate::config) static REPLAY_BYTES: Key<Size<usize>> = Key::new(
    "replay_bytes",
    Size { default: d::REPLAY_BYTES, within: 0..=(1 << 30) },
    "Bytes of a request body kept for a safe replay.",
);
pub(in crate::config) static MEMORY: Key<Memory> = Key::new(
    "memory",
    Memory,
    "Memory to stay under: from 75 % of it new requests get 503, and those are ended who do \
     not read, from 90 % new connections get 503 too. `auto`: the control group's limit, \
     where it has one.",
);

pub(in crate::config) static LIMITS: Section = Section {
    name: "limits",
    shape: Shape::One,
    required: false,
    doc: "Bounds on what clients may ask for, and upstreams may answer.",
    entries: &[
        &CONNECTIONS,
        &STREAMS,
        &HEADER_BYTES,
        &HEADERS,
        &RESPONSE_HEADER_BYTES,
        &RESPONSE_HEADERS,
        &REPLAY_BYTES,
        &MEMORY,
    ],
};

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

pub(in crate::config) static UPSTREAM_STREAMS: Key<Optional<Count<usize>>> = Key::new(
    "streams",
    Optional(Count::within(1..=MOST)),
    "Requests in flight to it at once, over all workers; beyond it the next of its group, or 503.",
);

pub(in crate::config) static UPSTREAM_LIMITS: Section = Section {
    name: "limits",
    shape: Shape::One,
    required: false,
    doc: "What it is asked at most.",
    entries: &[&UPSTREAM_STREAMS],
};
