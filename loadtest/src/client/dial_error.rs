//! Why there is no connection.

use std::io;

/// Why no connection could be had.
#[derive(Debug)]
pub enum DialError {
    /// Name resolution or TCP.
    Tcp(io::Error),
    /// The TLS handshake.
    Tls(io::Error),
    /// HTTP/2 was required and the peer did not negotiate it.
    NotHttp2,
    /// The HTTP/2 preface.
    Http2(h2::Error),
    /// Not within the target's bound.
    TimedOut,
}

impl std::fmt::Display for DialError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tcp(error) => write!(f, "no connection: {error}"),
            Self::Tls(error) => write!(f, "TLS handshake failed: {error}"),
            Self::NotHttp2 => f.write_str("the peer did not negotiate HTTP/2"),
            Self::Http2(error) => write!(f, "HTTP/2 preface failed: {error}"),
            Self::TimedOut => f.write_str("no connection within --connect-timeout"),
        }
    }
}

impl std::error::Error for DialError {}
