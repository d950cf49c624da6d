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
    // Beside another framing a length is read as one by some; after 204 it must not be told (RFC 9110,
    // section 8.6), and a reader that believes it waits for the next answer's bytes.
    let sized = match coding {
        Coding::Length(_) => true,
        Coding::Bodyless => head.status != StatusCode::NO_CONTENT,
        Coding::Chunked { .. } | Coding::UntilClose => false,
    };
    for (name, value) in &head.headers {
        if *name != CONNECTION && *name != TRANSFER_ENCODING && (sized || *name != CONTENT_LENGTH) {
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

pub(super) fn line(name: &str, value: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use http::{HeaderValue, Response};

    use super::*;

    fn encoded(status: u16, length: Option<&'static str>, coding: Coding) -> String {
        let mut answer = Response::new(());
        *answer.status_mut() = StatusCode::from_u16(status).unwrap();
        for (name, value) in [(CONNECTION, "x"), (TRANSFER_ENCODING, "gzip"), (DATE, "today")] {
            answer.headers_mut().insert(name, HeaderValue::from_static(value));
        }
        if let Some(length) = length {
            answer.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from_static(length));
        }
        let mut out = Vec::new();
        encode(&answer.into_parts().0, coding, Persistence::Implied, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_head_says_the_length_once_and_beside_nothing_else() {
        let (chunked, sized) = (Coding::Chunked { trailers: false }, Coding::Length(5));
        for (status, length, coding, lines) in [
            (200, Some("5"), sized, "content-length: 5\r\n"),
            (200, None, sized, "content-length: 5\r\n"),
            (200, None, chunked, "transfer-encoding: chunked\r\n"),
            (200, Some("5"), chunked, "transfer-encoding: chunked\r\n"),
            (200, Some("5"), Coding::UntilClose, ""),
            (200, Some("5"), Coding::Bodyless, "content-length: 5\r\n"),
            (304, Some("5"), Coding::Bodyless, "content-length: 5\r\n"),
            (304, None, Coding::Bodyless, ""),
        ] {
            let expected = format!("date: today\r\n{lines}\r\n");
            let head = encoded(status, length, coding);
            assert_eq!(head.split_once("\r\n").unwrap().1, expected, "{status} {coding:?}");
        }
    }

    #[test]
    fn an_answer_without_content_tells_no_length() {
        for length in [None, Some("0"), Some("5")] {
            let head = encoded(204, length, Coding::Bodyless);
            assert_eq!(head, "HTTP/1.1 204 No Content\r\ndate: today\r\n\r\n");
        }
    }

    #[test]
    fn a_status_without_a_name_is_told_with_none() {
        assert!(encoded(299, None, Coding::Length(0)).starts_with("HTTP/1.1 299 \r\n"));
    }
}
