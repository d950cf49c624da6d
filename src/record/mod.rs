//! The record: opened when a request's head arrives, stamped on its way, closed exactly once.
//!
//! A worker owns a `Recorder`; all that a stamp touches is of that one thread, so a stamp costs
//! some nanoseconds and never a lock or a wake. Now and then the `Hub` asks each worker for what
//! it has recorded; the worker swaps its full set for an empty one and goes on. Adding up, the
//! Prometheus text, the quantiles and the access log's formatting all happen on other threads.

mod collect;
mod export;
mod id;
mod outcome;
mod recorder;
mod request;

pub use collect::ceilings::Ceilings;
pub use collect::dns::DnsMeters;
pub use collect::finished::Opened;
pub use collect::hub::{Hub, Setup};
pub use collect::labels::{Full, LabelIds};
pub use collect::meters::{ConnectionGuard, Gauge, GaugeGuard, UpstreamMeters};
pub use id::RequestId;
pub use outcome::{
    Clock, Ejection, FailoverReason, Hangup, Outcome, Oversize, Prevented, ReplayReason, Shed,
    Silence,
};
pub use recorder::{Recorder, WorkerRecorder};
pub use request::hedge::Hedge;
pub use request::{Leased, Record};

#[cfg(test)]
mod tests;
