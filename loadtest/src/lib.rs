//! The measuring house: a scripted upstream that stamps what it sends, and a client that stamps
//! what it receives.
//!
//! The map, in layers: a room uses only rooms of the layers below its own, and none beside it
//! (`scripts/check layers`).

// Layer: program

/// The command line.
pub mod cli;

// Layer: a proxy under test

/// A proxy under random traffic and faults, and a verdict.
pub mod soak;

// Layer: results

/// What a run came to, in every form.
pub mod report;

// Layer: judgement

/// Targets in rotation, and what each adds to the first.
pub mod compare;
/// What a run may be used for.
pub mod verdict;

// Layer: load

/// The one loop that sends requests when they are due.
pub mod load;

// Layer: requests and measures

/// What is measured, and how it is kept.
pub mod measure;
/// What is asked: an API, a body template, prompts.
pub mod request;

// Layer: both ends

/// One streaming request at a time, every byte's arrival known: the client that all else uses.
pub mod client;
/// The mock upstream: what it answers is a script, what it saw is a log.
pub mod upstream;

// Layer: ground

/// Durations as people write them.
pub mod duration;
/// Numbers for people.
pub mod format;
/// A small seeded generator.
pub mod random;
/// Certificates made at start, and TLS configurations that trust exactly them.
pub mod tls;
