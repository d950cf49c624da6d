//! In which form a body is published.

use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue};

use super::{of_json, of_sse};
use crate::events::draft::{Draft, Unfit};

/// What a body is read as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// `text/event-stream`: as many events as there are.
    Sse,
    /// `application/json`: one event.
    Json,
}

impl Form {
    /// What a request with this head says that its body is; `None` where that is nothing that is read.
    pub fn of(headers: &HeaderMap) -> Option<Self> {
        let identity = |value: &HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"identity");
        let mut types = headers.get_all(CONTENT_TYPE).iter();
        let (Some(line), None) = (types.next(), types.next()) else { return None };
        if !headers.get_all(CONTENT_ENCODING).iter().all(identity) {
            return None;
        }
        let mut parts = line.to_str().ok()?.split(';').map(str::trim);
        let form = match parts.next()?.to_ascii_lowercase().as_str() {
            "text/event-stream" => Self::Sse,
            "application/json" => Self::Json,
            _ => return None,
        };
        parts.all(is_utf8).then_some(form)
    }

    /// The events of a body.
    ///
    /// # Errors
    /// What it cannot be.
    pub fn read(self, body: &[u8]) -> Result<Vec<Draft>, Unfit> {
        match self {
            Self::Sse => of_sse(body),
            Self::Json => Ok(vec![of_json(body)?]),
        }
    }
}

/// A parameter that is no other charset.
fn is_utf8(parameter: &str) -> bool {
    let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
    let value = value.trim_matches('"');
    !name.eq_ignore_ascii_case("charset")
        || value.eq_ignore_ascii_case("utf-8")
        || value.eq_ignore_ascii_case("utf8")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_read_by_its_media_type_and_in_utf_8_only() {
        let of = |lines: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(CONTENT_TYPE, HeaderValue::from_static(line));
            }
            Form::of(&headers)
        };
        for (line, expected) in [
            ("text/event-stream", Some(Form::Sse)),
            ("Text/Event-Stream; Charset=UTF-8", Some(Form::Sse)),
            ("application/json;charset=\"utf-8\"", Some(Form::Json)),
            ("application/json; charset=latin1", None),
            ("application/x-www-form-urlencoded", None),
            ("text/plain", None),
            ("", None),
        ] {
            assert_eq!(of(&[line]), expected, "{line}");
        }
        assert_eq!(of(&[]), None);
        assert_eq!(of(&["application/json", "text/event-stream"]), None);
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        assert_eq!(Form::of(&headers), None);
    }
}
