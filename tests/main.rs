//! The proxy between two scripted ends, on the wire. One file per room and one per way a peer
//! misbehaves.

mod bytes;
mod cancel;
mod cli;
mod fixture;
mod hop_by_hop;
mod http1_client;
mod http2_client;
mod message;
mod pairing;
mod path;
mod program;
mod prometheus;
mod raw_http1;
mod raw_http2;
mod raw_upstream;
mod sdk;
mod secrets;
mod splits;
mod talking_program;
mod timing;
mod transparency;
mod truncation;
