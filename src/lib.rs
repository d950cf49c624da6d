//! firstbyte: a streaming reverse proxy for OpenAI-compatible APIs.
//!
//! The map, in layers: a room uses only rooms of the layers below its own, and none beside it
//! (`scripts/check layers`). To follow one request, begin at `proxy`.

// Layer: program

/// `firstbyte check --connect`: what the upstreams of a configuration say.
pub mod check;
/// `firstbyte demo`: everything at once, on a mock upstream of its own.
#[cfg(feature = "demo")]
pub mod demo;
/// `firstbyte key`: keys for clients, and their digests.
pub mod keys;
/// The program as it serves: signals, reloads, its end.
pub mod serve;

/// `firstbyte usage`: what a store has, whoever has the store.
pub mod usage;

// Layer: process

/// Worker threads, each with a runtime of its own.
pub mod runtime;

// Layer: listeners and start-up

/// Client connections: listened for, recognised, served, drained.
pub mod accept;
/// `/livez /readyz /metrics /stats`, on a listener and a thread of their own.
pub mod admin;
/// Arguments: parsing and types.
pub mod cli;
/// Streams and named events that several processes have together.
mod fanout;
/// Listening sockets that outlive a process.
pub mod handover;
/// What is asked of the kernel before the first thread exists.
mod kernel;
/// What the process says of itself, on stderr.
pub mod log;
/// Limits that several processes share.
mod sharing;
/// What clients used and what their limits stand at, kept over restarts.
pub mod store;

// Layer: request

/// The path of one request, on one page.
pub mod proxy;

// Layer: kept streams

/// Answers that are kept for clients that come back, and for others who read along.
pub mod streams;

// Layer: routing

/// Which upstream answers a path.
pub mod route;

// Layer: bodies

/// Heads and bodies on their way between the two sides.
pub mod relay;

// Layer: upstream connections

/// Warm connections to the upstreams, and the right to one stream on one of them.
pub mod upstream;

// Layer: admission and protocols

/// Who may come in, and how many at once.
pub mod admit;
/// Protocols as bytes: HTTP/1.1, and HTTP/2's frames as they pass.
pub mod proto;

// Layer: sockets

/// How Redis is reached.
#[cfg(feature = "redis")]
mod redis;
/// The sockets at both ends: their options, their stamps, TLS.
pub mod transport;

// Layer: record

/// What every request leaves behind: stamps, histograms, metrics, the access log.
pub mod record;

// Layer: what is kept for readers

/// Named events: what was published, and who reads it.
pub mod events;

// Layer: ground

/// What the operator asked for, checked.
pub mod config;
/// Everything that can fail, and what the client is told: one table.
pub mod error;

// Layer: arithmetic

/// Pure pieces that know no request and no socket: back-off, windows, budgets, rates, the calendar.
pub mod algo;
