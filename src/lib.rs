//! firstbyte: a streaming reverse proxy for OpenAI-compatible APIs.
//!
//! The map, in reading order: the path of one request first, then the rooms it goes through, then
//! what surrounds it. A room depends only on rooms below it; `record` and `error` know none.

pub mod algo;
pub mod proto;
/// The path of one request, on one page.
pub mod proxy;

/// Client connections: listened for, recognised, served, drained.
pub mod accept;
/// Who may come in, and how many at once.
pub mod admit;
/// Which upstream answers a path.
pub mod route;

/// Heads and bodies on their way between the two sides.
pub mod relay;

/// Warm connections to the upstreams, and the right to one stream on one of them.
pub mod upstream;

/// The sockets at both ends: their options, their stamps, TLS.
pub mod transport;

/// What every request leaves behind: stamps, histograms, metrics, the access log.
pub mod record;

/// Everything that can fail, and what the client is told: one table.
pub mod error;

/// `/livez /readyz /metrics /stats`, on a listener and a thread of their own.
pub mod admin;
/// Arguments: parsing and types.
pub mod cli;
/// What the operator asked for, checked.
pub mod config;
/// `firstbyte demo`: everything at once, on a mock upstream of its own.
pub mod demo;
/// Listening sockets that outlive a process.
pub mod handover;
/// What is asked of the kernel before the first thread exists.
mod kernel;
/// What the process says of itself, on stderr.
pub mod log;
/// Worker threads: pinned, each with a runtime of its own.
pub mod runtime;
/// The program as it serves: signals, reloads, its end.
pub mod serve;
