//! The measuring house: a scripted upstream that stamps what it sends, and a client that stamps
//! what it receives.

/// The command line.
pub mod cli;
/// One streaming request at a time, every byte's arrival known: the client that all else uses.
pub mod client;
/// Targets in rotation, and what each adds to the first.
pub mod compare;
/// The one loop that sends requests when they are due.
pub mod load;
/// What is measured, and how it is kept.
pub mod measure;
/// A small seeded generator.
pub mod random;
/// What a run came to, in every form.
pub mod report;
/// What is asked: an API, a body template, prompts.
pub mod request;
/// A proxy under random traffic and faults, and a verdict.
pub mod soak;
/// Certificates made at start, and TLS configurations that trust exactly them.
pub mod tls;
/// The mock upstream: what it answers is a script, what it saw is a log.
pub mod upstream;
/// What a run may be used for.
pub mod verdict;
