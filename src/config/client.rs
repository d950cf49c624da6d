//! `client`: deadlines toward clients.

use std::time::Duration;

use super::key::reader::{Fields, Reader, unwritten};
use super::key::{Key, Section, Shape};
use super::kind::quantity::{Size, Span};

pub(super) static CLIENT: Section = Section {
    name: "client",
    shape: Shape::One,
    required: false,
    doc: "Deadlines toward clients. Each has its own error code.",
    entries: &[&HEAD, &IDLE, &BODY_IDLE, &BODY_RATE, &WRITE_STALL, &DRAIN],
};

static HEAD: Key<Span> = Key::new(
    "head",
    // A head fits in a few packets; whoever needs longer is stalling on purpose.
    Span { default: Duration::from_secs(10) },
    "Time to receive a complete request head; also the time a new connection has for its first \
     request.",
);

static IDLE: Key<Span> = Key::new(
    "idle",
    // nginx's `keepalive_timeout`: longer than the SDKs keep idle connections, so that they close first
    // and never send on a connection that we are closing.
    Span { default: Duration::from_secs(75) },
    "Close a connection that had no request in flight for this long. An HTTP/2 client's PINGs do \
     not keep it open.",
);

static BODY_IDLE: Key<Span> = Key::new(
    "body_idle",
    // Mobile uplinks pause for seconds, not for half a minute.
    Span { default: Duration::from_secs(30) },
    "Maximum pause within a request body.",
);

static BODY_RATE: Key<Size<u64>> = Key::new(
    "body_rate",
    // Bytes a second, as of Apache httpd's `mod_reqtimeout` (`body=20,MinRate=500`): half of what GPRS carries.
    Size { default: 500, within: 0..=(1 << 30) },
    "Minimum average rate of a request body in bytes per second, not counting pauses of up to \
     `body_idle`. Slower requests are rejected with 408. Time in which the upstream does not read \
     does not count. 0 turns it off.",
);

static WRITE_STALL: Key<Span> = Key::new(
    "write_stall",
    // As long as a zero TCP window may last before we free what we hold for the client.
    Span { default: Duration::from_secs(30) },
    "Maximum time in which a client reads nothing although data is waiting for it.",
);

static DRAIN: Key<Span> = Key::new(
    "drain",
    // Kubernetes' default grace period; whoever raises one for long streams raises both.
    Span { default: Duration::from_secs(30) },
    "How long a drain may take; after that the remaining requests are cut.",
);

/// Deadlines toward a client.
#[derive(Debug, Clone)]
pub struct ClientDeadlines {
    /// A whole request head, from its first byte or the connection's start; of HTTP/2 the first request.
    pub head: Duration,
    /// A connection on which nothing is asked.
    pub idle: Duration,
    /// Silence inside a request body.
    pub body_idle: Duration,
    /// Bytes a second that a request body must bring on average; 0 sets none.
    pub body_rate: u64,
    /// A client that takes no byte although bytes are ready for it.
    pub write_stall: Duration,
    /// How long a drain may take before what is left is cut.
    pub drain: Duration,
}

impl ClientDeadlines {
    pub(super) fn read(reader: &mut Reader<'_>, root: &Fields<'_>) -> Self {
        let fields = reader.section(root, &CLIENT);
        Self {
            head: reader.get(&fields, &HEAD),
            idle: reader.get(&fields, &IDLE),
            body_idle: reader.get(&fields, &BODY_IDLE),
            body_rate: reader.get(&fields, &BODY_RATE),
            write_stall: reader.get(&fields, &WRITE_STALL),
            drain: reader.get(&fields, &DRAIN),
        }
    }
}

impl Default for ClientDeadlines {
    fn default() -> Self {
        unwritten(Self::read)
    }
}
