//! What a decision about one request may look at.

use bytes::Bytes;

use crate::upstream::log::HeaderLine;

/// One request, as far as it has arrived.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Counted from 0 over all connections of this upstream.
    pub nth: u64,
    /// The number of its connection, counted from 0.
    pub connection: u64,
    /// Counted from 0 within its connection.
    pub nth_on_connection: u64,
    /// The HTTP/2 stream, 0 for HTTP/1.1.
    pub stream: u32,
    /// The method.
    pub method: String,
    /// Path and query, as sent.
    pub path: String,
    /// `:authority` of HTTP/2, or the host of an absolute target.
    pub authority: Option<String>,
    /// All lines; in order, with duplicates.
    pub headers: Vec<HeaderLine>,
    /// The body: whole, up to 8 MiB (64 KiB of an upload), for decisions taken at its end; empty for those at the head.
    pub body: Bytes,
    /// Its true length.
    pub body_len: u64,
    /// Its SHA-256 in hexadecimal, if it has ended and hashing is on.
    pub body_sha256: Option<String>,
    /// When the head had been read, in nanoseconds of CLOCK_MONOTONIC.
    pub head_ns: u64,
}

impl Seen {
    /// The first value of a header, by name in any case, if it is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        let named = self.headers.iter().find(|line| line.name.eq_ignore_ascii_case(name));
        named.and_then(|line| std::str::from_utf8(&line.value).ok())
    }

    /// The path without its query.
    pub fn path_only(&self) -> &str {
        self.path.split('?').next().unwrap_or_default()
    }
}
