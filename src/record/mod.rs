//! The record: opened when a request's head arrives, stamped on its way, closed exactly once.
//!
//! A worker owns a `Recorder`; all that a stamp touches is of that one thread, so a stamp costs
//! some nanoseconds and never a lock or a wake. Now and then the `Hub` asks each worker for what
//! it has recorded; the worker swaps its full set for an empty one and goes on. Adding up, the
//! Prometheus text, the quantiles and the access log's formatting all happen on other threads.
//!
//! Parts, each of which uses only those above it:
//! - `outcome`, `id`, `client_address`, `pseudonym`: the words and the names.
//! - `collect`: counters, distributions, gauges, their labels, and `Finished`, the one value that leaves a
//!   worker when a request is over. It knows no format.
//! - `export`: pages and logs made of that. `request`: the record of a request that runs, which fills it.
//!   Neither knows the other.
//! - `recorder`: a worker's end. `hub`: the process's end.

mod client_address;
mod collect;
mod export;
mod hub;
mod id;
mod outcome;
mod pseudonym;
mod recorder;
mod request;
mod usage;

pub use client_address::ClientAddress;
pub use collect::finished::Opened;
pub use collect::instance::adaptive::{AdaptiveShown, LimitMeters};
pub use collect::instance::ceilings::Ceilings;
pub use collect::instance::clients::{ClientShown, ClientsShown, LimitShown, ModelShown};
pub use collect::instance::dns::DnsMeters;
pub use collect::instance::fanout::FanoutMeters;
pub use collect::instance::redis::RedisMeters;
pub use collect::instance::store::StoreMeter;
pub use collect::instance::streams::StreamMeters;
pub use collect::labels::{Full, LabelIds};
pub use collect::meters::{ConnectionGuard, Gauge, GaugeGuard, UpstreamMeters};
pub use hub::{Hub, Setup};
pub use id::RequestId;
pub use outcome::{
    Clock, Cold, Ejection, FailoverReason, Handshake, Hangup, KeptEnd, Lowered, NoUsage, Outcome,
    Oversize, Prevented, ReplayReason, Resume, Shed, Silence,
};
pub use pseudonym::{Hashed, Pseudonyms};
pub use recorder::{Recorder, WorkerRecorder};
pub use request::hedge::Hedge;
pub use request::{Leased, Record};
pub use usage::Usage;

#[cfg(test)]
mod tests;
