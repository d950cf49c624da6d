//! The proxy between two scripted ends, on the wire. One file per room and one per way a peer
//! misbehaves.

mod fixture;
mod path;
mod prometheus;
mod sdk;
