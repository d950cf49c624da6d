//! Takes what a client publishes.

use std::cell::RefCell;
use std::future::poll_fn;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Response};
use serde_json::json;

use super::{Asked, answer};
use crate::error::{Error, Kind};
use crate::events::publish::{of_json, of_sse};
use crate::events::{Draft, Key, Published};
use crate::proxy::Proxy;
use crate::record::Outcome;
use crate::relay::{RelayBody, Upload};

/// What a body is read as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Sse,
    Json,
}

impl Proxy {
    /// Reads what is published, publishes it, and says under which id. Dropped once it was read whole, it may be
    /// published all the same.
    pub(super) async fn publish(
        &self,
        asked: &Asked<'_>,
        upload: &RefCell<Upload>,
    ) -> Result<Response<RelayBody>, Error> {
        let headers = &asked.context.head.headers;
        let form = form(headers).ok_or(Kind::EventMediaType)?;
        let bounds = asked.topics.bounds();
        if length(headers).is_some_and(|length| length > bounds.message as u64) {
            return Err(Kind::EventTooLarge.into());
        }
        let mut body = Vec::new();
        let whole =
            poll_fn(|cx| upload.borrow_mut().poll_whole(cx, bounds.message, &mut body)).await?;
        if !whole {
            return Err(Kind::EventTooLarge.into());
        }
        let drafts = drafts(form, &body).map_err(Kind::EventUnfit)?;
        let Published { id, count } = match asked.topics.elsewhere() {
            None => asked.topics.publish(&asked.name, drafts, Instant::now())?,
            Some(elsewhere) => {
                let count = drafts.len();
                let key = Key { path: asked.topics.path().into(), name: asked.name.clone() };
                let id = elsewhere.publish(key, drafts, &bounds).await?;
                asked.topics.counts.published.fetch_add(count as u64, Relaxed);
                Published { id, count }
            }
        };
        let text = Bytes::from(format!("{}\n", json!({ "id": id, "published": count })));
        let length = HeaderValue::from(text.len());
        asked.context.record.sent(text.len() as u64);
        asked.context.record.end(Outcome::Complete);
        let body = RelayBody::own(text, self.patience(asked.context.head.version));
        let mut answer = answer(asked, body, "application/json");
        answer.headers_mut().insert(CONTENT_LENGTH, length);
        Ok(answer)
    }
}

fn drafts(form: Form, body: &[u8]) -> Result<Vec<Draft>, crate::events::Unfit> {
    match form {
        Form::Sse => of_sse(body),
        Form::Json => Ok(vec![of_json(body)?]),
    }
}

/// What a request with this head says that its body is; `None` where that is nothing that is read.
fn form(headers: &HeaderMap) -> Option<Form> {
    let identity = |value: &HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"identity");
    let mut types = headers.get_all(CONTENT_TYPE).iter();
    let (Some(line), None) = (types.next(), types.next()) else { return None };
    if !headers.get_all(CONTENT_ENCODING).iter().all(identity) {
        return None;
    }
    let mut parts = line.to_str().ok()?.split(';').map(str::trim);
    let form = match parts.next()?.to_ascii_lowercase().as_str() {
        "text/event-stream" => Form::Sse,
        "application/json" => Form::Json,
        _ => return None,
    };
    let is_utf8 = |part: &str| {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        let value = value.trim_matches('"');
        !name.eq_ignore_ascii_case("charset")
            || value.eq_ignore_ascii_case("utf-8")
            || value.eq_ignore_ascii_case("utf8")
    };
    parts.all(is_utf8).then_some(form)
}

fn length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
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
            form(&headers)
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
        assert_eq!(form(&headers), None);
    }
}
