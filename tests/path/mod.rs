//! The path of a request that goes well, byte for byte.

mod bytes;
mod endings;
mod expect;
mod hop_by_hop;
mod http1_0;
mod interim;
mod large;
mod pace;
mod pipelining;
mod plain;
mod redirects;
mod timing;
mod transparency;
