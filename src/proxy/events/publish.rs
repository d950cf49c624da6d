//! Takes what a client publishes.

use std::cell::RefCell;
use std::future::poll_fn;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

use bytes::Bytes;
use http::header::CONTENT_LENGTH;
use http::{HeaderMap, HeaderValue, Response};
use serde_json::json;

use super::{Asked, answer};
use crate::error::{Error, Kind};
use crate::events::{Form, Key, Published};
use crate::proxy::Proxy;
use crate::record::Outcome;
use crate::relay::{RelayBody, Upload};

impl Proxy {
    /// Reads what is published, publishes it, and says under which id. Dropped once it was read whole, it may be
    /// published all the same.
    pub(super) async fn publish(
        &self,
        asked: &Asked<'_>,
        upload: &RefCell<Upload>,
    ) -> Result<Response<RelayBody>, Error> {
        let headers = &asked.context.head.headers;
        let form = Form::of(headers).ok_or(Kind::EventMediaType)?;
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
        let drafts = form.read(&body).map_err(Kind::EventUnfit)?;
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

fn length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}
