//! Exporting: Prometheus and `/stats` show a [`View`], the access log writes each
//! [`Finished`](super::collect::finished::Finished). An OTLP exporter would be one more file.

mod access_log;
mod clf;
pub(in crate::record) mod clients;
mod date;
pub(in crate::record) mod events;
pub(in crate::record) mod log_writer;
pub(in crate::record) mod metrics;
mod process;
mod prometheus;
pub(in crate::record) mod stats;

use super::collect::collector::Totals;
use super::collect::instance::Instance;

/// All that is counted, as of one collection: what pages are made of.
#[derive(Clone, Copy)]
pub(in crate::record) struct View<'a> {
    pub(in crate::record) instance: &'a Instance,
    pub(in crate::record) totals: &'a Totals,
    /// Finished requests that the access log lost.
    pub(in crate::record) log_dropped: u64,
}
