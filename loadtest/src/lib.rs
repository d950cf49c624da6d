//! The measuring house: a scripted upstream that stamps what it sends, and a client that stamps
//! what it receives.

/// One streaming request at a time, every byte's arrival known: the client that all else uses.
pub mod client;
