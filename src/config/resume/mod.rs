//! `routes[].resume`: responses that are kept while they come and for a while after, for clients that come back.

use std::time::Duration;

use super::key::reader::{Fields, Reader};
use super::key::{Key, Section, Shape};
use super::kind::quantity::{Count, Size, Span};
use super::kind::scalar::Flag;
use super::limits::MOST;

/// Where kept streams are read, whatever route they came by.
pub const STREAMS_PATH: &str = "/streams";
/// And below each route that keeps some, where llama.cpp's clients look.
const BY_CONVERSATION: &str = "/stream";

pub(super) static RESUME: Section = Section {
    name: "resume",
    shape: Shape::One,
    required: false,
    doc: "Resumable responses: a request with `x-firstbyte-resume: 1` or `X-Conversation-Id` goes on when its client \
        disconnects, and is read again at `/streams/ID`. Off unless the section is there. See streams.md.",
    entries: &[&BYTES, &TTL, &DETACHED, &STREAMS, &ANONYMOUS],
};

static BYTES: Key<Size<usize>> = Key::new(
    "bytes",
    // llama.cpp's. A long answer of a chat is a tenth of it.
    Size { default: 4 << 20, within: (256 << 10)..=(1 << 30) },
    "How much of a response is kept, from its newest byte back. A reader that falls further behind is disconnected; an \
     older offset gets 410.",
);

static TTL: Key<Span> = Key::new(
    "ttl",
    // llama.cpp's.
    Span { default: Duration::from_secs(300) },
    "How long a response is kept after its end.",
);

static DETACHED: Key<Span> = Key::new(
    "detached",
    // A phone in a tunnel or a page that reloads is back by then; a client that is gone for good pays for no more.
    Span { default: Duration::from_secs(120) },
    "How long a response goes on while nobody reads it; then its upstream request is cancelled.",
);

static STREAMS: Key<Count<usize>> = Key::new(
    "streams",
    Count { default: 1000, within: 1..=MOST },
    "Maximum number of responses kept for one client, over all routes; without `clients`, for all clients together. \
     When it is reached, the one that ended first gives way; if all of them run or are read, a new one is not kept \
     and has no `x-firstbyte-stream`.",
);

static ANONYMOUS: Key<Flag> = Key::new(
    "anonymous",
    // Whoever sees an id could read the answer.
    Flag { default: false },
    "Without `clients`: keep responses although nobody is known; whoever has the id of one may read and stop it.",
);

/// How a route's responses are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resume {
    /// Of each, in bytes.
    pub bytes: usize,
    /// After its end.
    pub ttl: Duration,
    /// While nobody reads it.
    pub detached: Duration,
    /// For one client, at once.
    pub streams: usize,
    /// Whether whoever has the id is whose it is, where nobody is known.
    pub anonymous: bool,
}

impl Resume {
    /// `None` where the section is not written. `knows_clients`: there are `clients`.
    pub(super) fn read(
        reader: &mut Reader<'_>,
        route: &Fields<'_>,
        knows_clients: bool,
    ) -> Option<Self> {
        let fields = reader.section(route, &RESUME);
        let resume = Self {
            bytes: reader.get(&fields, &BYTES),
            ttl: reader.get(&fields, &TTL),
            detached: reader.get(&fields, &DETACHED),
            streams: reader.get(&fields, &STREAMS),
            anonymous: reader.get(&fields, &ANONYMOUS),
        };
        if !route.has(RESUME.name) {
            return None;
        }
        if !knows_clients && !resume.anonymous {
            let what = "is off and there are no `clients`: nobody would be known to come back";
            let hint = "add `clients`, or write `anonymous: true` where an id may be enough";
            reader.fault_in(&fields, &ANONYMOUS, what, hint);
        }
        Some(resume)
    }
}

/// Where streams are read that routes at these paths keep; nowhere where there are none.
pub(super) fn read_at<'a>(keeping: impl Iterator<Item = &'a str>) -> Vec<String> {
    let below = |path: &str| format!("{}{BY_CONVERSATION}", path.trim_end_matches('/'));
    let mut paths: Vec<_> = keeping.map(below).collect();
    if !paths.is_empty() {
        paths.push(STREAMS_PATH.to_owned());
    }
    paths
}
