//! firstbyte: a streaming reverse proxy for OpenAI-compatible APIs.
//!
//! The map, in reading order. A room depends only on rooms below it; `record` and `error` know none.

/// Arguments, and the help worth reading.
pub mod cli;
/// What the operator asked for, checked.
pub mod config;
