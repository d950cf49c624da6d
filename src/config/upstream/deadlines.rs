//! `upstreams.NAME.deadlines`: deadlines toward an upstream.

use std::time::Duration;

use crate::config::key::reader::{Fields, Reader, unwritten};
use crate::config::key::{Key, Section, Shape};
use crate::config::kind::quantity::Span;

pub(super) static DEADLINES: Section = Section {
    name: "deadlines",
    shape: Shape::One,
    required: false,
    doc: "Deadlines toward the upstream. Each has its own error code.",
    entries: &[&CONNECT, &RESPONSE_HEAD, &FIRST_FRAME, &FRAME_GAP],
};

static CONNECT: Key<Span> = Key::new(
    "connect",
    // The SDKs' own connect timeout: a longer one would never be seen.
    Span { default: Duration::from_secs(5) },
    "Time to connect: TCP, TLS and the upstream's SETTINGS together.",
);

static RESPONSE_HEAD: Key<Span> = Key::new(
    "response_head",
    // The SDKs' own timeout: reasoning models are silent for minutes before the head.
    Span { default: Duration::from_secs(10 * 60) },
    "Time from the last progress of the request to the response head.",
);

static FIRST_FRAME: Key<Span> = Key::new(
    "first_frame",
    // As for the head: some upstreams send the head at once and think after it.
    Span { default: Duration::from_secs(10 * 60) },
    "Time from the response head to the first frame of the body.",
);

static FRAME_GAP: Key<Span> = Key::new(
    "frame_gap",
    // As for the head: a silent upstream is normal in mid-stream too.
    Span { default: Duration::from_secs(10 * 60) },
    "Maximum time between two frames of the response body.",
);

/// Deadlines toward an upstream; each has an error of its own.
#[derive(Debug, Clone)]
pub struct UpstreamDeadlines {
    /// TCP, TLS and the peer's SETTINGS together.
    pub connect: Duration,
    /// From the request's last byte sent (or the last progress of its body) to the answer's head.
    pub response_head: Duration,
    /// From the answer's head to the first frame of its body.
    pub first_frame: Duration,
    /// Silence between two body frames.
    pub frame_gap: Duration,
}

impl UpstreamDeadlines {
    pub(super) fn read(reader: &mut Reader<'_>, upstream: &Fields<'_>) -> Self {
        let fields = reader.section(upstream, &DEADLINES);
        Self {
            connect: reader.get(&fields, &CONNECT),
            response_head: reader.get(&fields, &RESPONSE_HEAD),
            first_frame: reader.get(&fields, &FIRST_FRAME),
            frame_gap: reader.get(&fields, &FRAME_GAP),
        }
    }
}

impl Default for UpstreamDeadlines {
    fn default() -> Self {
        unwritten(Self::read)
    }
}
