//! The answer's head toward the client.

use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, TE};
use http::response::Parts;
use http::{StatusCode, Version};

use super::framing::{Coding, coding, one_length};
use super::{REQUEST_ID, add_via, clean_marked};
use crate::error::{Cause, Error, Kind};
use crate::upstream::Marks;

/// nginx's switch against buffering, which other proxies between us and the client know too.
const ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// Makes an upstream's head the client's, in place. Status, `x-request-id`, `openai-*`,
/// `x-ratelimit-*`, `retry-after`, cookies and all else that is end-to-end stay as they are.
///
/// Fails with [`Kind::UpgradeRefused`] on 101, which was never asked for; with [`Kind::UpstreamProtocol`]
/// on another 1xx, which no final answer is, and on framing that the client could understand otherwise
/// than we did. Nothing of such an answer may be sent on. `marks` are those of its lines.
pub fn answer(
    head: &mut Parts,
    marks: Marks,
    request_id: &HeaderValue,
    via: bool,
) -> Result<(), Error> {
    if head.status == StatusCode::SWITCHING_PROTOCOLS {
        return Err(Kind::UpgradeRefused.into());
    }
    if head.status.is_informational() {
        return Err(because(Cause::InvalidHead));
    }
    if !one_length(&mut head.headers, marks) {
        return Err(because(Cause::InvalidLength));
    }
    match coding(&head.headers, marks) {
        Coding::Plain => {}
        // The length of a chunked answer is a lie or a leftover (RFC 9112, section 6.3).
        Coding::Chunked => drop(head.headers.remove(CONTENT_LENGTH)),
        Coding::Other => return Err(because(Cause::TransferCoding)),
    }
    clean_marked(&mut head.headers, marks);
    if marks.any(Marks::HOP_BY_HOP) {
        head.headers.remove(TE); // a request's field; here it could only confuse
    }
    head.headers.insert(REQUEST_ID, request_id.clone());
    if is_event_stream(&head.headers) {
        let value = || HeaderValue::from_static("no");
        head.headers.entry(ACCEL_BUFFERING).or_insert_with(value);
    }
    if via {
        add_via(&mut head.headers, head.version);
    }
    // The client's connection has a version of its own; an upstream's HTTP/1.0 must not close it.
    head.version = Version::HTTP_11;
    Ok(())
}

fn because(cause: Cause) -> Error {
    Error::new(Kind::UpstreamProtocol).because(cause)
}

/// Its body is a stream of events (WHATWG HTML, section 9.2).
pub fn is_event_stream(headers: &HeaderMap) -> bool {
    let Some(value) = headers.get(CONTENT_TYPE) else { return false };
    let essence = value.as_bytes().split(|byte| *byte == b';').next().unwrap_or_default();
    essence.trim_ascii().eq_ignore_ascii_case(b"text/event-stream")
}

#[cfg(test)]
mod tests;
