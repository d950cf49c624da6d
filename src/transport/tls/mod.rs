//! TLS toward upstreams: what is trusted, and the sessions' settings.

pub mod client;
mod identity;
mod verify;
