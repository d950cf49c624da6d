//! One connection: dialled, spoken over in either HTTP, its reads stamped.

/// A connection in either protocol, and one exchange on it.
pub(in crate::client) mod connection;
/// From a target to an open socket, TLS included.
pub(in crate::client) mod dial;
/// The HTTP/1.1 exchange.
pub(in crate::client) mod h1;
/// The HTTP/2 exchange.
pub(in crate::client) mod h2;
/// The socket below both.
mod io;
