//! `upstreams.NAME.pool`: sizes and lives of the connections.

use std::time::Duration;

use crate::config::key::reader::{Fields, Reader, unwritten};
use crate::config::key::{Key, Section, Shape};
use crate::config::kind::optional::Optional;
use crate::config::kind::quantity::{Count, Size, Span};

/// A window's bound (RFC 9113, section 6.9.1).
const LARGEST_WINDOW: u32 = (1 << 31) - 1;
/// A connection's window starts here and only grows (RFC 9113, section 6.9.2).
const SMALLEST_CONNECTION_WINDOW: u32 = 65_535;
/// A frame at its initial size limit (RFC 9113, section 6.5.2) must fit.
const SMALLEST_STREAM_WINDOW: u32 = 16_384;
/// Client streams have odd 31-bit numbers (RFC 9113, section 5.1.1).
const MOST_REQUESTS: u64 = 1 << 30;

pub(super) static POOL: Section = Section {
    name: "pool",
    shape: Shape::One,
    required: false,
    doc: "Connection pool. Each worker has its own.",
    entries: &[
        &MIN_CONNECTIONS,
        &MAX_CONNECTIONS,
        &STREAMS_PER_CONNECTION,
        &MAX_AGE,
        &MAX_REQUESTS,
        &PING_INTERVAL,
        &PING_AFTER,
        &SUSPECT_AFTER,
        &PING_TIMEOUT,
        &IDLE,
        &MAX_IDLE,
        &QUEUE,
        &QUEUE_TIMEOUT,
        &STREAM_WINDOW,
        &CONNECTION_WINDOW,
    ],
};

static MIN_CONNECTIONS: Key<Count<usize>> = Key::new(
    "min_connections",
    // Two: the loss of one connection never puts a connect on a request's path.
    Count { default: 2, within: 1..=4096 },
    "Connections kept open at any load.",
);

static MAX_CONNECTIONS: Key<Count<usize>> = Key::new(
    "max_connections",
    // With 64 streams each, 4,096 streams per worker and upstream.
    Count { default: 64, within: 1..=4096 },
    "Maximum number of connections.",
);

static STREAMS_PER_CONNECTION: Key<Count<usize>> = Key::new(
    "streams_per_connection",
    // Half of nginx's 128, and few enough that one stalled connection hurts few.
    Count { default: 64, within: 1..=65_535 },
    "Maximum number of concurrent streams on one HTTP/2 connection; never more than three quarters \
     of the upstream's limit.",
);

static MAX_AGE: Key<Span> = Key::new(
    "max_age",
    // nginx closes a connection at one hour; we leave before that, also with jitter.
    Span { default: Duration::from_secs(50 * 60) },
    "Age at which a connection is replaced, less up to a tenth at random. The new connection is \
     opened first, and streams on the old one finish.",
);

static MAX_REQUESTS: Key<Count<u64>> = Key::new(
    "max_requests",
    // nginx sends GOAWAY after 1,000 requests; we leave before that.
    Count { default: 900, within: 1..=MOST_REQUESTS },
    "Number of requests after which a connection is replaced; the new one is opened first.",
);

static PING_INTERVAL: Key<Span> = Key::new(
    "ping_interval",
    // Shorter than the idle timeouts of the usual load balancers and NATs.
    Span { default: Duration::from_secs(15) },
    "Send a PING on an HTTP/2 connection that received nothing for this long.",
);

static PING_AFTER: Key<Span> = Key::new(
    "ping_after",
    // Half of two seconds, after which no new request is to go to a peer that fell silent. A model may think
    // for longer than this: then it costs one PING.
    Span { default: Duration::from_secs(1) },
    "Send a PING on an HTTP/2 connection when something was sent and nothing was received for this \
     long.",
);

static SUSPECT_AFTER: Key<Span> = Key::new(
    "suspect_after",
    // The other half. Twice a slow round trip across the world, and longer than the kernel takes to send a lost
    // segment again (RFC 6298, section 2.4: 1 s).
    Span { default: Duration::from_secs(1) },
    "A connection becomes suspect when a PING is not answered within four usual round trips (at \
     least half of this time, at most all of it). New requests use other connections; its own \
     requests continue.",
);

static PING_TIMEOUT: Key<Span> = Key::new(
    "ping_timeout",
    // Ten times a slow round trip across the world.
    Span { default: Duration::from_secs(5) },
    "Close a connection when a PING is not answered within this time.",
);

static IDLE: Key<Span> = Key::new(
    "idle",
    // Longer than the pauses of a conversation, and half of the minute after which an idle process is to be as
    // small as it was.
    Span { default: Duration::from_secs(30) },
    "Close a connection that carried no request for this long, down to `min_connections`.",
);

static MAX_IDLE: Key<Span> = Key::new(
    "max_idle",
    // Less than the five seconds after which uvicorn and Node close, by more than a round trip across the world.
    Span { default: Duration::from_secs(4) },
    "An HTTP/1.1 connection that was idle for this long is not used again. Must be shorter than the \
     upstream's keep-alive timeout (uvicorn and Node: 5s; nginx: 75s), or a request can meet its \
     close.",
);

static QUEUE: Key<Optional<Count<usize>>> = Key::new(
    "queue",
    // Whoever `limits.streams` lets in may wait: refusing sooner refuses those who would be served.
    Optional(Count::within(0..=1_000_000)),
    "Maximum number of requests that wait for a stream; more are rejected with 503. If not set, \
     every request admitted by the top-level `limits.streams` may wait.",
);

static QUEUE_TIMEOUT: Key<Span> = Key::new(
    "queue_timeout",
    // The SDKs retry a 503; a longer wait only delays their retry.
    Span { default: Duration::from_secs(5) },
    "How long a request may wait for a stream; after that it is rejected with 503.",
);

static STREAM_WINDOW: Key<Size<u32>> = Key::new(
    "stream_window",
    // What one slow client can make us hold; a second of tokens at any model's speed.
    Size { default: 64 * 1024, within: SMALLEST_STREAM_WINDOW..=LARGEST_WINDOW },
    "HTTP/2 receive window of one stream. It bounds how much of a response the proxy holds for a \
     slow client.",
);

static CONNECTION_WINDOW: Key<Size<u32>> = Key::new(
    "connection_window",
    // h2 derives its small-frame budget from it; tokens are small frames, so it is large.
    Size { default: 16 * 1024 * 1024, within: SMALLEST_CONNECTION_WINDOW..=LARGEST_WINDOW },
    "HTTP/2 receive window of one connection, shared by its streams.",
);

/// Sizes and lives of one worker's pool to one upstream.
#[derive(Debug, Clone)]
pub struct Pool {
    /// Connections kept warm whatever the load.
    pub min_connections: usize,
    /// Connections at most.
    pub max_connections: usize,
    /// Streams that we put on one HTTP/2 connection at most; also kept under three quarters of
    /// the peer's own limit.
    pub streams_per_connection: usize,
    /// A connection older than this (less up to a tenth of jitter) is replaced ahead of time.
    pub max_age: Duration,
    /// A connection that carried this many requests is replaced ahead of time.
    pub max_requests: u64,
    /// An HTTP/2 connection that was silent this long is sent a PING.
    pub ping_interval: Duration,
    /// An HTTP/2 connection on which something was sent and nothing came for this long is sent a PING.
    pub ping_after: Duration,
    /// A PING without answer for this long, or for half of it where PINGs are answered quickly, makes
    /// the connection suspect: new streams go elsewhere.
    pub suspect_after: Duration,
    /// A PING without answer for this long ends the connection.
    pub ping_timeout: Duration,
    /// A connection beyond the minimum that carried nothing for this long is closed.
    pub idle: Duration,
    /// An HTTP/1.1 connection that was idle for this long carries no other request.
    pub max_idle: Duration,
    /// Requests that may wait for a stream; unless set, all that `limits.streams` lets in.
    pub queue: Option<usize>,
    /// How long a request may wait for a stream.
    pub queue_timeout: Duration,
    /// HTTP/2 receive window of one stream, in bytes: what one slow client can make us hold.
    pub stream_window: u32,
    /// HTTP/2 receive window of a connection, in bytes.
    pub connection_window: u32,
}

impl Pool {
    pub(super) fn read(reader: &mut Reader<'_>, upstream: &Fields<'_>) -> Self {
        let fields = reader.section(upstream, &POOL);
        let pool = Self {
            min_connections: reader.get(&fields, &MIN_CONNECTIONS),
            max_connections: reader.get(&fields, &MAX_CONNECTIONS),
            streams_per_connection: reader.get(&fields, &STREAMS_PER_CONNECTION),
            max_age: reader.get(&fields, &MAX_AGE),
            max_requests: reader.get(&fields, &MAX_REQUESTS),
            ping_interval: reader.get(&fields, &PING_INTERVAL),
            ping_after: reader.get(&fields, &PING_AFTER),
            suspect_after: reader.get(&fields, &SUSPECT_AFTER),
            ping_timeout: reader.get(&fields, &PING_TIMEOUT),
            idle: reader.get(&fields, &IDLE),
            max_idle: reader.get(&fields, &MAX_IDLE),
            queue: reader.get(&fields, &QUEUE),
            queue_timeout: reader.get(&fields, &QUEUE_TIMEOUT),
            stream_window: reader.get(&fields, &STREAM_WINDOW),
            connection_window: reader.get(&fields, &CONNECTION_WINDOW),
        };
        pool.rules(reader, &fields);
        pool
    }

    fn rules(&self, reader: &mut Reader<'_>, fields: &Fields<'_>) {
        let (min, max) = (self.min_connections, self.max_connections);
        if min > max {
            let what = format!("{min} is more than max_connections, {max}");
            let hint = format!("write at most {max}, or raise max_connections");
            reader.fault_in(fields, &MIN_CONNECTIONS, what, hint);
        }
        if self.stream_window > self.connection_window {
            let what = "is larger than connection_window, which all streams share";
            reader.fault_in(fields, &STREAM_WINDOW, what, "raise connection_window");
        }
    }
}

impl Default for Pool {
    fn default() -> Self {
        unwritten(Self::read)
    }
}
