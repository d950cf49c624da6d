//! The proxy between two scripted ends, on the wire. One file per room and one per way a peer
//! misbehaves.

mod bytes;
mod fixture;
mod hop_by_hop;
mod http1_client;
mod http2_client;
mod message;
mod pairing;
mod path;
mod program;
mod secrets;
mod splits;
mod timing;
mod transparency;
