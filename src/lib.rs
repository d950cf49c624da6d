//! firstbyte: a streaming reverse proxy for OpenAI-compatible APIs.
//!
//! The map, in reading order. A room depends only on rooms below it; `record` and `error` know none.

/// Which upstream answers a path.
pub mod route;

/// What crosses the proxy: heads cleaned, bodies relayed, the one safe replay.
pub mod relay;

/// What the operator asked for, checked.
pub mod config;

/// What can fail, on which side, and what the client is told.
pub mod error;
