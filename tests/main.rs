//! The proxy between two scripted ends, on the wire. One file per room and one per way a peer
//! misbehaves.

mod cancel;
mod fixture;
mod path;
mod raw_http1;
mod raw_http2;
mod raw_upstream;
mod truncation;
