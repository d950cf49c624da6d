//! One connection: dialled, spoken over in either HTTP, its reads stamped.

/// HTTP/1.1's chunked coding, read strictly.
pub(in crate::client) mod chunked;
/// A connection in either protocol, and one exchange on it.
pub(in crate::client) mod connection;
/// From a target to an open socket, TLS included.
pub(in crate::client) mod dial;
/// The HTTP/1.1 exchange.
pub(in crate::client) mod h1;
/// The HTTP/2 exchange.
pub(in crate::client) mod h2;
/// A socket that tells when the kernel received.
pub(in crate::client) mod stamped;
