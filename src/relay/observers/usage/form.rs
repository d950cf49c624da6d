//! Whether an answer's body is of a kind that usage can be read from.

use http::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap};

use crate::relay::head::is_event_stream;

/// What an answer's body is, by its head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// JSON, one value.
    Json,
    /// A stream of events.
    Events,
    /// One of the two, or anything, compressed.
    Encoded,
    /// Something else, such as audio, or a file that may have the usage of other requests.
    Other,
}

impl Form {
    /// By `content-type` and `content-encoding`.
    pub fn of(headers: &HeaderMap) -> Self {
        let mut codings = headers.get_all(CONTENT_ENCODING).into_iter();
        if codings.any(|coding| !is_identity(coding.as_bytes())) {
            return Self::Encoded;
        }
        if is_event_stream(headers) {
            return Self::Events;
        }
        let value = headers.get(CONTENT_TYPE).map_or(&b""[..], |value| value.as_bytes());
        if is_json(value) { Self::Json } else { Self::Other }
    }
}

fn is_identity(coding: &[u8]) -> bool {
    let coding = coding.trim_ascii();
    coding.is_empty() || coding.eq_ignore_ascii_case(b"identity")
}

/// `application/json`, or a type that is written in it (RFC 6839, section 3.1).
fn is_json(content_type: &[u8]) -> bool {
    let essence = content_type.split(|byte| *byte == b';').next().unwrap_or_default();
    let essence = essence.trim_ascii().to_ascii_lowercase();
    essence == b"application/json" || essence.ends_with(b"+json")
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    #[test]
    fn a_head_says_whether_usage_can_be_read() {
        for (lines, form) in [
            (&[("content-type", "application/json")][..], Form::Json),
            (&[("content-type", "Application/JSON; charset=utf-8")], Form::Json),
            (&[("content-type", "application/vnd.api+json")], Form::Json),
            (&[("content-type", "text/event-stream; charset=utf-8")], Form::Events),
            (&[("content-type", "application/jsonl")], Form::Other),
            (&[("content-type", "audio/mpeg")], Form::Other),
            (&[], Form::Other),
            (&[("content-type", "application/json"), ("content-encoding", "gzip")], Form::Encoded),
            (&[("content-type", "text/event-stream"), ("content-encoding", "br")], Form::Encoded),
            (&[("content-encoding", "identity"), ("content-encoding", "zstd")], Form::Encoded),
            (&[("content-type", "application/json"), ("content-encoding", "Identity")], Form::Json),
        ] {
            let mut headers = HeaderMap::new();
            for (name, value) in lines {
                headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
            }
            assert_eq!(Form::of(&headers), form, "{lines:?}");
        }
    }
}
