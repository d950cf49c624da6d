//! The record: opened when a request's head arrives, stamped on its way, closed exactly once.
//!
//! A worker owns a `Recorder`; all that a stamp touches is of that one thread, so a stamp costs
//! some nanoseconds and never a lock or a wake. Now and then the `Hub` asks each worker for what
//! it has recorded; the worker swaps its full set for an empty one and goes on. Adding up, the
//! Prometheus text, the quantiles and the access log's formatting all happen on other threads.

mod access_log;
mod ceilings;
mod configured;
mod dns;
mod durations;
mod hedge;
mod hub;
mod id;
mod labels;
mod ledger;
mod log_writer;
mod meters;
mod metrics;
mod outcome;
mod process;
mod recordings;
mod request;
mod request_state;
mod slots;
mod stats;
mod text;
mod worker;

pub use ceilings::Ceilings;
pub use dns::DnsMeters;
pub use hedge::Hedge;
pub use hub::{Hub, Setup};
pub use id::RequestId;
pub use labels::{Full, LabelIds};
pub use meters::{ConnectionGuard, Gauge, GaugeGuard, UpstreamMeters};
pub use outcome::{
    Clock, Ejection, FailoverReason, Hangup, Outcome, Oversize, Prevented, ReplayReason, Shed,
    Silence,
};
pub use request::{Leased, Opened, Record};
pub use worker::{Recorder, WorkerRecorder};

#[cfg(test)]
mod tests;
