//! The proxy between two scripted ends, on the wire. One file per room and one per way a peer
//! misbehaves.

mod bytes;
mod fixture;
mod http1_client;
mod http2_client;
mod message;
mod pairing;
mod path;
mod splits;
mod timing;
