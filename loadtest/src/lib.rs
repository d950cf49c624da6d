//! The measuring house: a scripted upstream that stamps what it sends, and a client that stamps
//! what it receives.

/// What is asked: an API, a body template, prompts.
pub mod ask;
/// One streaming request at a time, every byte's arrival known: the client that all else uses.
pub mod client;
/// The one loop that sends requests when they are due.
pub mod load;
/// What is measured, and how it is kept.
pub mod measure;
/// A small seeded generator.
pub mod random;
/// Certificates made at start, and TLS configurations that trust exactly them.
pub mod tls;
/// The mock upstream: what it answers is a script, what it saw is a log.
pub mod upstream;
