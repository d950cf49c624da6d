//! An answer's head in bytes.

use std::time::SystemTime;

use http::header::{CONNECTION, CONTENT_LENGTH, DATE, TRANSFER_ENCODING};
use http::{StatusCode, response};
use hyper::ext::ReasonPhrase;

use super::date;

/// How the end of an answer's body is told (RFC 9112, section 6.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coding {
    /// There is none: of the status, or because HEAD was asked. Its length, where told, is another's.
    Bodyless,
    /// By so many bytes, which the head tells already or is made to.
    Length(u64),
    /// By the last chunk; trailers are written if the client reads them.
    Chunked {
        /// Whether it does.
        trailers: bool,
    },
    /// By the end of the connection: all that HTTP/1.0 understands.
    UntilClose,
}

/// What the head says of the connection's future.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Persistence {
    /// Nothing: HTTP/1.1 connections stay.
    Implied,
    /// That it stays, as HTTP/1.0 has to be told.
    KeepAlive,
    /// That it closes after this answer.
    Close,
}

/// Whether an answer with this status has no body, whatever its head says.
pub fn is_bodyless(status: StatusCode) -> bool {
    matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
}

/// Appends the head to `out`, its empty line included. Headers stay as they are but for those that
/// frame the message and the connection, which are ours to say.
pub fn encode(head: &response::Parts, coding: Coding, persistence: Persistence, out: &mut Vec<u8>) {
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(head.status.as_str().as_bytes());
    out.push(b' ');
    let reason = head.extensions.get::<ReasonPhrase>().map(ReasonPhrase::as_bytes);
    out.extend_from_slice(
        reason.or(head.status.canonical_reason().map(str::as_bytes)).unwrap_or(b""),
    );
    out.extend_from_slice(b"\r\n");
    for (name, value) in &head.headers {
        if *name != CONNECTION && *name != TRANSFER_ENCODING {
            line(name.as_str(), value.as_bytes(), out);
        }
    }
    match coding {
        Coding::Length(length) if !head.headers.contains_key(CONTENT_LENGTH) => {
            line("content-length", length.to_string().as_bytes(), out);
        }
        Coding::Chunked { .. } => line("transfer-encoding", b"chunked", out),
        _ => {}
    }
    match persistence {
        Persistence::Implied => {}
        Persistence::KeepAlive => line("connection", b"keep-alive", out),
        Persistence::Close => line("connection", b"close", out),
    }
    if !head.headers.contains_key(DATE) {
        out.extend_from_slice(b"date: ");
        date::append(SystemTime::now(), out);
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"\r\n");
}

fn line(name: &str, value: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}
