//! TLS: toward upstreams what is trusted, toward clients what is shown; and the handshakes with clients.

pub mod client;
pub mod handshake;
mod identity;
pub mod names;
pub mod server;
mod verify;
