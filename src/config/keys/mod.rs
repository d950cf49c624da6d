//! The one description of every key: name, kind, bounds, default, doc. The reader knows keys by
//! it, and `docs/firstbyte.schema.json` and the table in `docs/configuration.md` are made from it.

mod dns;
mod group;
mod health;
mod limits;
mod route_deadlines;
mod web;

pub(super) use dns::*;
pub(super) use group::*;
pub(super) use health::*;
pub(super) use limits::*;
pub(super) use route_deadlines::*;
pub(super) use web::*;

use super::key::{Key, Section, Shape, reference};
use super::kind::address::{Address, AddressOrOff};
use super::kind::many::Many;
use super::kind::optional::Optional;
use super::kind::quantity::{Count, Size, Span};
use super::kind::scalar::{Choice, Flag, Log, ReadableFile, Workers};
use super::kind::secret::{HeaderText, Secret};
use super::kind::url::UpstreamUrl;
use super::{Protocol, ReloadOn, defaults as d, route};

/// The JSON Schema (draft 2020-12) of the configuration file, as shipped in
/// `docs/firstbyte.schema.json`; ends with a line break.
pub fn json_schema() -> String {
    reference::json_schema(&ROOT)
}

/// The table of `docs/configuration.md` in Markdown, one row for each key, in the order of the
/// file; ends with a line break.
pub fn key_table() -> String {
    reference::key_table(&ROOT)
}

/// A window's bound (RFC 9113, section 6.9.1).
const LARGEST_WINDOW: u32 = (1 << 31) - 1;
/// A connection's window starts here and only grows (RFC 9113, section 6.9.2).
const SMALLEST_CONNECTION_WINDOW: u32 = 65_535;
/// A frame at its initial size limit (RFC 9113, section 6.5.2) must fit.
const SMALLEST_STREAM_WINDOW: u32 = 16_384;
/// Client streams have odd 31-bit numbers (RFC 9113, section 5.1.1).
const MOST_REQUESTS: u64 = 1 << 30;

pub(super) static LISTEN: Key<Many<Address>> = Key::new(
    "listen",
    Many(Address { default: d::LISTEN }),
    "Where clients connect; port 0 asks the kernel for a free one.",
);
pub(super) static ADMIN: Key<AddressOrOff> = Key::new(
    "admin",
    AddressOrOff(Address { default: d::ADMIN }),
    "Where `/livez`, `/readyz`, `/metrics`, `/stats` and `POST /reload` answer.",
);
pub(super) static WORKERS: Key<Workers> =
    Key::new("workers", Workers, "Worker threads, each pinned to a core of its own.");
pub(super) static ACCESS_LOG: Key<Log> =
    Key::new("access_log", Log { default: d::ACCESS_LOG }, "One JSON object per request.");
pub(super) static VIA: Key<Flag> =
    Key::new("via", Flag { default: d::VIA }, "Add `Via` to requests and answers.");

pub(super) static RELOAD: Key<Choice<ReloadOn>> = Key::new(
    "reload",
    Choice {
        of: &[("on_demand", ReloadOn::Demand), ("on_change", ReloadOn::Change)],
        default: d::RELOAD,
    },
    "When this file is read again without a cut: at SIGHUP and `POST /reload`, or also when it, or a \
     key or certificate that it names, was changed.",
);
pub(super) static UPGRADE_TIMEOUT: Key<Span> = Key::new(
    "upgrade_timeout",
    Span { default: d::UPGRADE_TIMEOUT },
    "How long the process that SIGUSR2 starts may take to be ready; then it is ended, and the old one \
     goes on.",
);

pub(super) static ROOT: Section = Section {
    name: "",
    shape: Shape::One,
    required: true,
    doc: "The configuration of firstbyte.",
    entries: &[
        &LISTEN,
        &ADMIN,
        &ADMIN_TOKEN,
        &ALLOWED_HOSTS,
        &ALLOWED_ORIGINS,
        &WORKERS,
        &ACCESS_LOG,
        &VIA,
        &RELOAD,
        &UPGRADE_TIMEOUT,
        &UPSTREAMS,
        &GROUPS,
        &ROUTES,
        &CLIENT,
        &LIMITS,
    ],
};

pub(super) static URL: Key<UpstreamUrl> = Key::required(
    "url",
    UpstreamUrl,
    "`https://` or `http://`, host, port if unusual, and a path. A path replaces the route's \
     prefix; without one the client's path stays as it is.",
);
pub(super) static KEY: Key<Secret> =
    Key::new("key", Secret, "Bearer key that replaces the client's `authorization`.");
pub(super) static ORGANIZATION: Key<HeaderText> =
    Key::new("organization", HeaderText, "`OpenAI-Organization`, sent with the key.");
pub(super) static PROJECT: Key<HeaderText> =
    Key::new("project", HeaderText, "`OpenAI-Project`, sent with the key.");
pub(super) static FORWARD_AUTHORIZATION: Key<Flag> = Key::new(
    "forward_authorization",
    Flag { default: d::FORWARD_AUTHORIZATION },
    "Forward the client's own `authorization` and organization headers; only without `key`.",
);
pub(super) static UNDERSCORES_IN_HEADERS: Key<Flag> = Key::new(
    "underscores_in_headers",
    Flag { default: d::UNDERSCORES_IN_HEADERS },
    "Forward request headers whose names have underscores. CGI-like servers take `Content_Length` for \
     `Content-Length`, so that they are dropped otherwise, as nginx does.",
);
pub(super) static PROTOCOL: Key<Choice<Protocol>> = Key::new(
    "protocol",
    Choice {
        of: &[("auto", Protocol::Auto), ("http1", Protocol::Http1), ("http2", Protocol::Http2)],
        default: Protocol::Auto,
    },
    "`auto`: over TLS what ALPN agrees on, in clear HTTP/1.1. `http2` in clear is with prior \
     knowledge.",
);
pub(super) static CA_FILE: Key<ReadableFile> =
    Key::new("ca_file", ReadableFile, "More trusted roots in PEM, for this upstream only.");

pub(super) static UPSTREAMS: Section = Section {
    name: "upstreams",
    shape: Shape::Named,
    required: true,
    doc: "Model APIs, each under a name of letters, digits, `_`, `.` and `-` that logs and metrics use.",
    entries: &[
        &URL,
        &KEY,
        &ORGANIZATION,
        &PROJECT,
        &FORWARD_AUTHORIZATION,
        &UNDERSCORES_IN_HEADERS,
        &PROTOCOL,
        &CA_FILE,
        &POOL,
        &DEADLINES,
        &DNS,
        &HEALTH,
        &UPSTREAM_LIMITS,
    ],
};

pub(super) static MIN_CONNECTIONS: Key<Count<usize>> = Key::new(
    "min_connections",
    Count { default: d::MIN_CONNECTIONS, within: 1..=4096 },
    "Connections kept warm whatever the load.",
);
pub(super) static MAX_CONNECTIONS: Key<Count<usize>> = Key::new(
    "max_connections",
    Count { default: d::MAX_CONNECTIONS, within: 1..=4096 },
    "Connections at most.",
);
pub(super) static STREAMS_PER_CONNECTION: Key<Count<usize>> = Key::new(
    "streams_per_connection",
    Count { default: d::STREAMS_PER_CONNECTION, within: 1..=65_535 },
    "Streams put on one HTTP/2 connection; also kept under three quarters of the peer's limit.",
);
pub(super) static MAX_AGE: Key<Span> = Key::new(
    "max_age",
    Span { default: d::MAX_AGE },
    "A connection older than this, less up to a tenth, is replaced ahead of time.",
);
pub(super) static MAX_REQUESTS: Key<Count<u64>> = Key::new(
    "max_requests",
    Count { default: d::MAX_REQUESTS, within: 1..=MOST_REQUESTS },
    "A connection that carried so many requests is replaced ahead of time.",
);
pub(super) static PING_INTERVAL: Key<Span> = Key::new(
    "ping_interval",
    Span { default: d::PING_INTERVAL },
    "An HTTP/2 connection that was silent this long is sent a PING.",
);
pub(super) static PING_AFTER: Key<Span> = Key::new(
    "ping_after",
    Span { default: d::PING_AFTER },
    "An HTTP/2 connection on which something was sent and nothing came for this long is sent a PING.",
);
pub(super) static SUSPECT_AFTER: Key<Span> = Key::new(
    "suspect_after",
    Span { default: d::SUSPECT_AFTER },
    "A PING without an answer for four usual round trips, at least half of this and at most this, makes \
     the connection suspect: new requests go elsewhere, those on it go on.",
);
pub(super) static PING_TIMEOUT: Key<Span> = Key::new(
    "ping_timeout",
    Span { default: d::PING_TIMEOUT },
    "A PING without an answer for this long ends the connection.",
);
pub(super) static POOL_IDLE: Key<Span> = Key::new(
    "idle",
    Span { default: d::POOL_IDLE },
    "A connection beyond `min_connections` that carried no request for this long is closed.",
);
pub(super) static QUEUE: Key<Optional<Count<usize>>> = Key::new(
    "queue",
    Optional(Count::within(0..=1_000_000)),
    "Requests that may wait for a stream; the next gets 503. Unless set, as many as the top-level \
     `limits.streams` lets in.",
);
pub(super) static QUEUE_TIMEOUT: Key<Span> = Key::new(
    "queue_timeout",
    Span { default: d::QUEUE_TIMEOUT },
    "How long a request may wait for a stream; then 503.",
);
pub(super) static STREAM_WINDOW: Key<Size<u32>> = Key::new(
    "stream_window",
    Size { default: d::STREAM_WINDOW, within: SMALLEST_STREAM_WINDOW..=LARGEST_WINDOW },
    "HTTP/2 receive window of one stream: what one slow client can make the proxy hold.",
);
pub(super) static CONNECTION_WINDOW: Key<Size<u32>> = Key::new(
    "connection_window",
    Size { default: d::CONNECTION_WINDOW, within: SMALLEST_CONNECTION_WINDOW..=LARGEST_WINDOW },
    "HTTP/2 receive window of one connection.",
);

pub(super) static POOL: Section = Section {
    name: "pool",
    shape: Shape::One,
    required: false,
    doc: "Sizes and lives of the connections, per worker.",
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
        &POOL_IDLE,
        &QUEUE,
        &QUEUE_TIMEOUT,
        &STREAM_WINDOW,
        &CONNECTION_WINDOW,
    ],
};

pub(super) static CONNECT: Key<Span> = Key::new(
    "connect",
    Span { default: d::CONNECT },
    "TCP, TLS and the upstream's SETTINGS together.",
);
pub(super) static RESPONSE_HEAD: Key<Span> = Key::new(
    "response_head",
    Span { default: d::RESPONSE_HEAD },
    "From the request's last progress to the answer's head.",
);
pub(super) static FIRST_FRAME: Key<Span> = Key::new(
    "first_frame",
    Span { default: d::FIRST_FRAME },
    "From the answer's head to the first frame of its body.",
);
pub(super) static FRAME_GAP: Key<Span> =
    Key::new("frame_gap", Span { default: d::FRAME_GAP }, "Silence between two body frames.");

pub(super) static DEADLINES: Section = Section {
    name: "deadlines",
    shape: Shape::One,
    required: false,
    doc: "Deadlines toward the upstream; each has an error of its own.",
    entries: &[&CONNECT, &RESPONSE_HEAD, &FIRST_FRAME, &FRAME_GAP],
};

pub(super) static ROUTE_PATH: Key<route::Prefix> = Key::required(
    "path",
    route::Prefix,
    "A prefix that ends at a `/`: `/v1` takes `/v1/models`, never `/v1beta`. The longest wins.",
);
pub(super) static ROUTE_UPSTREAM: Key<route::UpstreamName> = Key::required(
    "upstream",
    route::UpstreamName,
    "The upstream that answers, or the group of them.",
);

pub(super) static ROUTES: Section = Section {
    name: "routes",
    shape: Shape::List,
    required: true,
    doc: "Which path leads to which upstream or group.",
    entries: &[&ROUTE_PATH, &ROUTE_UPSTREAM, &ROUTE_DEADLINES, &ROUTE_LIMITS],
};

pub(super) static CLIENT_HEAD: Key<Span> = Key::new(
    "head",
    Span { default: d::CLIENT_HEAD },
    "A whole request head, and the first request of a connection.",
);
pub(super) static CLIENT_IDLE: Key<Span> = Key::new(
    "idle",
    Span { default: d::CLIENT_IDLE },
    "A connection without a request in flight; it is then closed. An HTTP/2 client's PINGs do not count.",
);
pub(super) static BODY_IDLE: Key<Span> =
    Key::new("body_idle", Span { default: d::BODY_IDLE }, "Silence inside a request body.");
pub(super) static BODY_RATE: Key<Size<u64>> = Key::new(
    "body_rate",
    Size { default: d::BODY_RATE, within: 0..=(1 << 30) },
    "Bytes a second that a request body must bring on average, pauses of up to `body_idle` aside; slower \
     ones get 408. Time in which the upstream takes nothing does not count. 0 allows any pace.",
);
pub(super) static WRITE_STALL: Key<Span> = Key::new(
    "write_stall",
    Span { default: d::WRITE_STALL },
    "A client that takes no byte although bytes are ready for it.",
);
pub(super) static DRAIN: Key<Span> = Key::new(
    "drain",
    Span { default: d::DRAIN },
    "How long a drain may take before what is left is cut.",
);

pub(super) static CLIENT: Section = Section {
    name: "client",
    shape: Shape::One,
    required: false,
    doc: "Deadlines toward clients; each has an error of its own.",
    entries: &[&CLIENT_HEAD, &CLIENT_IDLE, &BODY_IDLE, &BODY_RATE, &WRITE_STALL, &DRAIN],
};
