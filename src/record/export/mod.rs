//! Exporting: Prometheus, `/stats`, the access log. An OTLP exporter would be one more file.

pub(in crate::record) mod access_log;
pub(in crate::record) mod log_writer;
pub(in crate::record) mod metrics;
mod process;
pub(in crate::record) mod prometheus;
pub(in crate::record) mod stats;
