//! The proxy between two scripted ends, on the wire. One file per room and one per way a peer
//! misbehaves.

#![allow(clippy::expect_used, reason = "a test that cannot go on says where and why")]

mod bytes;
mod cancel;
mod cancel_storm;
mod cli;
mod deadlines;
mod endings;
mod errors;
mod expect;
mod fixture;
mod goaway;
mod hop_by_hop;
mod http1_0;
mod http1_client;
mod http2_client;
mod large;
mod message;
mod pace;
mod pairing;
mod path;
mod pipelining;
mod pool;
mod program;
mod prometheus;
mod raw_http1;
mod raw_http2;
mod raw_log;
mod raw_upstream;
mod refusal;
mod sdk;
mod secrets;
mod slow_reader;
mod smuggling;
mod sockets;
mod splits;
mod stream_limit;
mod talking_program;
mod timing;
mod transparency;
mod truncation;
mod unreachable;
