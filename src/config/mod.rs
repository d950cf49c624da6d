//! What the operator asked for.
//!
//! Each section of the file is a file here: its keys with their defaults, its struct, its reading and the rules
//! between its keys; `root` has them all. To add a key, follow one that is there (CONTRIBUTING.md has the
//! steps). From text to `Config`: `file` (text and its faults), `kind` (values), `key` (what a key is, and
//! the reader), the sections, `load`; each uses only what comes before it.

mod access_log;
mod adapt;
mod change;
mod client;
mod clients;
mod cors;
mod describe;
mod door;
mod events;
mod file;
mod group;
mod key;
mod kind;
mod limits;
mod listen;
mod load;
mod log_format;
mod models;
mod names;
mod overlap;
mod privacy;
mod resume;
mod root;
mod route;
mod sharing;
#[cfg(test)]
mod tests;
mod upstream;
mod web;

pub use access_log::AccessLog;
pub use adapt::Adapt;
pub use change::{changes, shares_connections};
pub use client::{ClientDeadlines, LameDuck};
pub use clients::Client;
pub use clients::allowance::{Allowance, Amount, Budget, NANO, Period};
pub use clients::events::EventRights;
pub use clients::group::{ClientGroup, ClientGroupId};
pub use clients::key::{KeyDigest, Proof};
pub use clients::prices::{Price, PriceId, Prices};
pub use cors::Cors;
pub use describe::describe;
pub use door::Listener;
pub use door::address::ListenAddress;
pub use door::networks::{Network, Networks};
pub use door::pair::Pair;
pub use door::tls::{ClientCertificates, ListenerTls};
pub use events::Events;
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
pub use kind::quantity::parse_duration;
pub use limits::{Limits, MemoryLimit};
pub use load::no_file::{Arguments, from_env, without_file};
pub use load::reread::{Read, read, reread};
pub use load::{load, parse};
pub use log_format::{LogField, LogFormat};
pub use models::{ByModel, Glob, ModelId, OTHER};
pub use names::{FIT_FOR_A_NAME, GroupId, RouteId, Target, UpstreamId, is_name};
pub use overlap::takes_only_ipv6;
pub use privacy::Privacy;
pub use resume::{Resume, STREAMS_PATH};
pub use root::{Config, Pinning, ReloadOn, json_schema, key_table};
pub use route::{Route, RouteDeadlines};
pub use sharing::{OnLoss, Redis, RedisAddress};
pub use upstream::deadlines::UpstreamDeadlines;
pub use upstream::dns::Dns;
pub use upstream::egress::Egress;
pub use upstream::health::HealthPolicy;
pub use upstream::outgoing::Outgoing;
pub use upstream::pool::Pool;
pub use upstream::probe::{Probe, Statuses};
pub use upstream::redirects::Redirects;
pub use upstream::tls::{ClientFiles, Pin, UpstreamTls};
pub use upstream::url::Scheme;
pub use upstream::{Forwarded, Protocol, Upstream};
pub use web::Allowed;
