//! Who subscribes, here and at other processes, and events for one of them alone.

use std::sync::Arc;

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;

use serde_json::{Value, json};

use crate::events::{Draft, EventRoutes, Form, NotSent, Others, Seat};
use crate::record::Hub;

/// The path that leads to a subscriber, before the id of its request.
pub(super) const SUBSCRIBERS: &str = "/subscribers/";

/// Bytes of a body.
const MOST: usize = 64 * 1024;

const LOST: &str = "what the processes share cannot be reached just now; retry shortly\n";
const HAS_ID: &str = "an event for one subscriber must have no id: it would move the cursor that the subscriber comes back \
    with\n";

/// A subscriber, or the process that has it.
enum At {
    Here(Arc<Seat>),
    There(String),
}

/// Who is connected to this process, and where several share their names to each of the others.
pub(super) async fn connected(hub: &Hub, others: &dyn Others) -> String {
    let elsewhere = match others.connected().await {
        Ok(None) => return hub.connected(),
        Ok(Some(text)) => serde_json::from_str(&text).unwrap_or(Value::Null),
        Err(_lost) => json!(LOST.trim_end()),
    };
    let mut here: Value = serde_json::from_str(&hub.connected()).unwrap_or(Value::Null);
    here["elsewhere"] = elsewhere;
    format!("{here:#}\n")
}

/// Reads what is to be sent, and sends it. What is wrong, in words, where something is.
pub(super) async fn publish(
    events: &EventRoutes,
    others: &dyn Others,
    request: Request<Incoming>,
) -> (StatusCode, &'static str) {
    let id = request.uri().path().strip_prefix(SUBSCRIBERS).unwrap_or_default().to_owned();
    let at = match events.all().find_map(|topics| topics.seat(&id)) {
        Some(seat) => At::Here(seat),
        None => match others.find(&id).await {
            Ok(Some(process)) => At::There(process),
            Ok(None) => {
                let what = "no subscriber has this id; GET /clients lists them\n";
                return (StatusCode::NOT_FOUND, what);
            }
            Err(_lost) => return (StatusCode::SERVICE_UNAVAILABLE, LOST),
        },
    };
    let Some(form) = Form::of(request.headers()) else {
        let what = "set content-type to text/event-stream or application/json\n";
        return (StatusCode::UNSUPPORTED_MEDIA_TYPE, what);
    };
    let Ok(body) = Limited::new(request.into_body(), MOST).collect().await else {
        return (StatusCode::PAYLOAD_TOO_LARGE, "the body is larger than 64 KiB, or was cut\n");
    };
    let body: Bytes = body.to_bytes();
    match form.read(&body) {
        Ok(drafts) => send(at, others, &id, drafts).await,
        Err(why) => (StatusCode::BAD_REQUEST, why),
    }
}

async fn send(
    at: At,
    others: &dyn Others,
    id: &str,
    drafts: Vec<Draft>,
) -> (StatusCode, &'static str) {
    let seat = match at {
        At::Here(seat) => seat,
        At::There(_) if drafts.iter().any(|draft| draft.id.is_some()) => {
            return (StatusCode::BAD_REQUEST, HAS_ID);
        }
        At::There(process) => {
            return match others.send(process, id, drafts).await {
                Ok(()) => {
                    (StatusCode::ACCEPTED, "on its way to the process that has the subscriber\n")
                }
                Err(_lost) => (StatusCode::SERVICE_UNAVAILABLE, LOST),
            };
        }
    };
    match seat.send(&drafts) {
        Ok(()) => (StatusCode::OK, "sent\n"),
        Err(NotSent::HasId) => (StatusCode::BAD_REQUEST, HAS_ID),
        Err(NotSent::Full) => {
            let what = "the subscriber has not read what it was sent before; retry later\n";
            (StatusCode::TOO_MANY_REQUESTS, what)
        }
    }
}
