//! What the operator asked for: the file as written is read in this room's other files; here is
//! the configuration as meant.

mod assemble;
mod change;
pub mod defaults;
mod describe;
mod dns;
mod file;
mod group;
mod health;
mod key;
mod keys;
mod kind;
mod load;
mod memory;
mod probe;
mod route;
#[cfg(test)]
mod tests;
mod web;

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;

pub use change::{changes, shares_connections};
pub use describe::describe;
pub use dns::Dns;
pub use file::env::{Env, ProcessEnv};
pub use file::fault::{At, Fault, Faults, Place};
pub use file::files::{apart, read_file, read_regular};
pub use file::stamp::Stamp;
pub use group::{Group, Hedge, MOST_MEMBERS, Member, Pick, Retry, Triggers, WhenEjected};
pub use health::HealthPolicy;
pub use keys::{json_schema, key_table};
pub use kind::quantity::parse_duration;
pub use load::no_file::from_env;
pub use load::reread::{Read, read, reread};
pub use load::{load, parse};
pub use probe::{Probe, Statuses};
pub use web::Allowed;

/// Everything the proxy needs to start. [`load`], [`parse`] and [`from_env`] build it from checked
/// input only. Its `Debug` shows no key.
#[derive(Debug, Clone)]
pub struct Config {
    /// Addresses that clients connect to; port 0 asks the kernel for a free one.
    pub listen: Vec<SocketAddr>,
    /// Where `/livez /readyz /metrics /stats` answer; `None` turns the listener off.
    pub admin: Option<SocketAddr>,
    /// What changes something by the admin listener needs this bearer token; without one it is refused where
    /// that listener is not on loopback.
    pub admin_token: Option<SecretString>,
    /// Names by which listeners on loopback may be asked, beside loopback's own.
    pub allowed_hosts: Allowed,
    /// Origins of web pages that may use the proxy.
    pub allowed_origins: Allowed,
    /// Worker threads, each pinned to a core of its own.
    pub workers: NonZeroUsize,
    /// Upstreams; [`UpstreamId`] is the index into this list.
    pub upstreams: Vec<Upstream>,
    /// Groups of upstreams; [`GroupId`] is the index into this list.
    pub groups: Vec<Group>,
    /// Path prefixes; the longest that matches on a segment boundary wins.
    pub routes: Vec<Route>,
    /// Deadlines toward clients.
    pub client: ClientDeadlines,
    /// Bounds on what a client may ask of us.
    pub limits: Limits,
    /// Whether `Via` is added to requests and answers.
    pub via: bool,
    /// Where the access log goes.
    pub access_log: AccessLog,
    /// When the file is read again.
    pub reload: ReloadOn,
    /// How long a successor may take to be ready before it is given up.
    pub upgrade_timeout: Duration,
}

/// When a configuration file is read again, apart from SIGHUP and `POST /reload`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReloadOn {
    /// Never.
    Demand,
    /// When it, or a file that it refers to, has changed.
    Change,
}

/// Index into [`Config::upstreams`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct UpstreamId(pub usize);

/// Index into [`Config::groups`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct GroupId(pub usize);

/// Index into [`Config::routes`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RouteId(pub usize);

/// One path prefix and where it leads.
#[derive(Debug, Clone)]
pub struct Route {
    /// A path prefix that begins with `/`; `/v1` matches `/v1` and `/v1/models`, never `/v1beta`.
    pub path: String,
    /// Who answers.
    pub target: Target,
    /// Clocks of this route's own.
    pub deadlines: RouteDeadlines,
    /// Requests in flight on it at once, over all workers; beyond it 429. `None`: no bound of its own.
    pub streams: Option<usize>,
}

/// A route's own clocks, in place of its upstreams'.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RouteDeadlines {
    /// In place of [`UpstreamDeadlines::response_head`].
    pub response_head: Option<Duration>,
    /// In place of [`UpstreamDeadlines::first_frame`].
    pub first_frame: Option<Duration>,
    /// In place of [`UpstreamDeadlines::frame_gap`].
    pub frame_gap: Option<Duration>,
}

impl Route {
    /// A route with its upstreams' own clocks.
    pub fn new(path: impl Into<String>, target: Target) -> Self {
        Self { path: path.into(), target, deadlines: RouteDeadlines::default(), streams: None }
    }
}

/// Where a route leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Target {
    /// One upstream.
    Upstream(UpstreamId),
    /// One of several.
    Group(GroupId),
}

/// One model API.
#[derive(Debug, Clone)]
pub struct Upstream {
    /// The operator's name for it; a metric label and a log field.
    pub name: String,
    /// Whether the connection is TLS, and how HTTP is spoken on it.
    pub scheme: Scheme,
    /// Host as written in the URL, without brackets or port.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// The URL's path without a trailing slash; empty where the URL names none. As in nginx's
    /// `proxy_pass`: a path replaces the route's prefix, none leaves the client's path as it is.
    pub base_path: String,
    /// Bearer key that replaces the client's `authorization`.
    pub key: Option<SecretString>,
    /// Forward the client's own `authorization` (and organization headers) where no key is set.
    pub forward_authorization: bool,
    /// Whether request headers go there whose names have underscores.
    pub underscores_in_headers: bool,
    /// `OpenAI-Organization` to send with our key.
    pub organization: Option<String>,
    /// `OpenAI-Project` to send with our key.
    pub project: Option<String>,
    /// Extra trusted roots in PEM, for this upstream only.
    pub ca_file: Option<PathBuf>,
    /// Protocol rule.
    pub protocol: Protocol,
    /// Sizes and lives of the pool, per worker.
    pub pool: Pool,
    /// Deadlines toward this upstream.
    pub deadlines: UpstreamDeadlines,
    /// How its name leads to connections.
    pub dns: Dns,
    /// When its groups leave it out.
    pub health: HealthPolicy,
    /// What is asked of it to know whether it is well; nothing by default.
    pub probe: Option<Probe>,
    /// Requests in flight to it at once, over all workers, those that wait for a stream included;
    /// beyond it the next of its group, or 503. `None`: no bound of its own.
    pub streams: Option<usize>,
}

/// Clear or TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// `http://`
    Http,
    /// `https://`
    Https,
}

/// How HTTP is spoken to an upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// TLS: ALPN offers `h2` and `http/1.1`. Clear: HTTP/1.1.
    Auto,
    /// HTTP/1.1 only.
    Http1,
    /// HTTP/2 only; in clear, with prior knowledge (RFC 9113, section 3.3).
    Http2,
}

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
    /// Requests that may wait for a stream; unless set, all that `limits.streams` lets in.
    pub queue: Option<usize>,
    /// How long a request may wait for a stream.
    pub queue_timeout: Duration,
    /// HTTP/2 receive window of one stream, in bytes: what one slow client can make us hold.
    pub stream_window: u32,
    /// HTTP/2 receive window of a connection, in bytes.
    pub connection_window: u32,
}

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

/// Bounds on what a client may ask of us.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Client connections at once, over all workers; fewer where descriptors are short.
    pub connections: usize,
    /// Requests in flight at once, over all workers; beyond it 503 with `Retry-After`.
    pub streams: usize,
    /// A request head's bytes.
    pub header_bytes: usize,
    /// A request head's header lines.
    pub headers: usize,
    /// Bytes of an answer's head, names and values and 32 for each line; and of its trailers.
    pub response_header_bytes: usize,
    /// Header lines of the same.
    pub response_headers: usize,
    /// Bytes of a request body kept for a safe replay.
    pub replay_bytes: usize,
    /// What memory may be used before new requests are refused.
    pub memory: MemoryLimit,
}

/// The memory that the proxy keeps under.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MemoryLimit {
    /// Nobody looks.
    Off,
    /// The process's control group's, where it has one; counted as the kernel counts it.
    Auto,
    /// This many bytes of resident memory.
    Bytes(u64),
}

/// Where the access log goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccessLog {
    /// Nowhere.
    Off,
    /// One JSON object a line on stdout.
    Stdout,
    /// The same on stderr.
    Stderr,
    /// The same appended to a file.
    File(PathBuf),
}
