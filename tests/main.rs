//! The proxy between two scripted ends, on the wire. One file per room and one per way a peer
//! misbehaves.

mod cli;
mod fixture;
mod path;
mod program;
mod prometheus;
mod sdk;
