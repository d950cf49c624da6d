//! firstbyte: a streaming reverse proxy for OpenAI-compatible APIs.
//!
//! The map, in reading order. A room depends only on rooms below it; `record` and `error` know none.

/// `/livez /readyz /metrics /stats`, on a listener and a thread of their own.
pub mod admin;
/// What every request leaves behind: stamps, histograms, metrics, the access log.
pub mod record;

/// What the operator asked for, checked.
pub mod config;
