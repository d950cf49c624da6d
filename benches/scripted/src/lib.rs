//! Two scripted peers for the proxy, on plain sockets that nobody polls: each moves only when it is told,
//! in the thread that tells it. So a bench decides what is ready when, and what it measures or counts
//! between two moves is the proxy.

#![allow(missing_docs, reason = "a tool of ours, not a library: its items say what is not plain")]

pub mod client;
pub mod frames;
mod socket;
pub mod texts;
pub mod upstream;
