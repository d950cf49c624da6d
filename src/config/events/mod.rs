//! `routes[].events`: a route that answers with what is published on it.

use std::time::Duration;

use super::key::reader::{Fields, Reader};
use super::key::{Key, Section, Shape};
use super::kind::quantity::{Count, Size, Span};
use super::limits::MOST;

/// Of events of one name: each costs its bytes and some more.
const MOST_HISTORY: usize = 100_000;

pub(super) static EVENTS: Section = Section {
    name: "events",
    shape: Shape::One,
    required: false,
    doc: "In place of `upstream`: named events. `POST PATH/NAME` publishes to a name, `GET PATH/NAME` subscribes \
          to it as server-sent events. See events.md.",
    entries: &[&HISTORY, &BYTES, &MESSAGE, &NAMES, &SUBSCRIBERS, &HEARTBEAT, &EXPIRE],
};

static HISTORY: Key<Count<usize>> = Key::new(
    "history",
    Count { default: 1000, within: 0..=MOST_HISTORY },
    "Events of each name that are kept for subscribers who come later, or come back.",
);

static BYTES: Key<Size<usize>> = Key::new(
    "bytes",
    Size { default: 1 << 20, within: (16 << 10)..=(1 << 30) },
    "Bytes of events that each name keeps at most. A subscriber that is behind by more is dropped.",
);

static MESSAGE: Key<Size<usize>> = Key::new(
    "message",
    Size { default: 64 << 10, within: 64..=(16 << 20) },
    "Largest body of a `POST`. Larger ones are rejected with 413.",
);

static NAMES: Key<Count<usize>> = Key::new(
    "names",
    // With the bytes that each may keep, what a route can take: 1 GiB by default, where memory has no limit.
    Count { default: 1000, within: 1..=1_000_000 },
    "Maximum number of names; requests for more are rejected with 429.",
);

static SUBSCRIBERS: Key<Count<usize>> = Key::new(
    "subscribers",
    Count { default: 10_000, within: 1..=MOST },
    "Maximum number of subscribers of all names, over all workers; more are rejected with 429.",
);

static HEARTBEAT: Key<Span> = Key::new(
    "heartbeat",
    // As WHATWG HTML, section 9.2.7, proposes for proxies that drop what is silent.
    Span { default: Duration::from_secs(15) },
    "A comment line is sent to a subscriber after this time without an event.",
);

static EXPIRE: Key<Span> = Key::new(
    "expire",
    Span { default: Duration::from_secs(3600) },
    "A name that was not published or subscribed to for this long is forgotten, with its history.",
);

/// What a route with events may keep.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Events {
    /// Events of each name for whoever comes later.
    pub history: usize,
    /// Bytes of each name's events.
    pub bytes: usize,
    /// Bytes of one request that publishes.
    pub message: usize,
    /// Names at once.
    pub names: usize,
    /// Subscribers at once, of all names.
    pub subscribers: usize,
    /// Silence after which a subscriber is sent a comment.
    pub heartbeat: Duration,
    /// Disuse after which a name is forgotten.
    pub expire: Duration,
}

impl Events {
    /// `None` where the section is not written.
    pub(super) fn read(reader: &mut Reader<'_>, route: &Fields<'_>) -> Option<Self> {
        let fields = reader.section(route, &EVENTS);
        let events = Self::of(reader, &fields);
        if events.bytes < events.message {
            let what = "is less than `message`: a name could not keep one event";
            reader.fault_in(&fields, &BYTES, what, "raise it, or lower message");
        }
        route.has(EVENTS.name).then_some(events)
    }

    fn of(reader: &mut Reader<'_>, fields: &Fields<'_>) -> Self {
        Self {
            history: reader.get(fields, &HISTORY),
            bytes: reader.get(fields, &BYTES),
            message: reader.get(fields, &MESSAGE),
            names: reader.get(fields, &NAMES),
            subscribers: reader.get(fields, &SUBSCRIBERS),
            heartbeat: reader.get(fields, &HEARTBEAT),
            expire: reader.get(fields, &EXPIRE),
        }
    }
}

impl Default for Events {
    fn default() -> Self {
        Self {
            history: HISTORY.kind.default,
            bytes: BYTES.kind.default,
            message: MESSAGE.kind.default,
            names: NAMES.kind.default,
            subscribers: SUBSCRIBERS.kind.default,
            heartbeat: HEARTBEAT.kind.default,
            expire: EXPIRE.kind.default,
        }
    }
}
