//! The load client, on the wire: small peers, real sockets.
#![expect(clippy::unwrap_used, reason = "test code")]

mod cli;
mod exchange;
mod hdr_java;
mod load;
mod mock;
mod peers;
mod scenarios;
mod slow;
mod soak;
