//! Protocols as bytes: no I/O of their own beyond a socket that is handed in, no clock.

/// One field of a request's body, found as the body arrives.
pub mod field;
/// HTTP/1.1 toward clients: heads and bodies in bytes.
pub mod http1;
/// HTTP/2's frames as they pass: those that carry no request are counted.
pub mod http2;
/// The header by which a balancer says who connected to it.
pub mod proxy_protocol;
