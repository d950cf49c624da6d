//! What the operator asked for: the file as written is read in this room's other files; here is
//! the configuration as meant.

mod assemble;
mod change;
mod client;
pub mod defaults;
mod describe;
mod file;
mod group;
mod key;
mod keys;
mod kind;
mod limits;
mod load;
mod names;
mod route;
#[cfg(test)]
mod tests;
mod upstream;
mod web;

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;

pub use change::{changes, shares_connections};
pub use client::ClientDeadlines;
pub use describe::describe;
pub use file::env::{Env, ProcessEnv};
pub use file::fault::{At, Fault, Faults, Place};
pub use file::files::{apart, read_file, read_regular};
pub use file::stamp::Stamp;
pub use group::failover_on::Triggers;
pub use group::hedge::Hedge;
pub use group::members::{MOST_MEMBERS, Member};
pub use group::pick::Pick;
pub use group::retry::Retry;
pub use group::{Group, WhenEjected};
pub use keys::{json_schema, key_table};
pub use kind::quantity::parse_duration;
pub use limits::{Limits, MemoryLimit};
pub use load::no_file::from_env;
pub use load::reread::{Read, read, reread};
pub use load::{load, parse};
pub use names::{GroupId, RouteId, UpstreamId};
pub use route::{Route, RouteDeadlines, Target};
pub use upstream::deadlines::UpstreamDeadlines;
pub use upstream::dns::Dns;
pub use upstream::health::HealthPolicy;
pub use upstream::pool::Pool;
pub use upstream::probe::{Probe, Statuses};
pub use upstream::url::Scheme;
pub use upstream::{Protocol, Upstream};
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
