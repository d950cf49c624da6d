//! Sends events to one subscriber alone.

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;

use crate::events::{EventRoutes, Form, NotSent};

/// The path that leads to a subscriber, before the id of its request.
pub(super) const SUBSCRIBERS: &str = "/subscribers/";

/// Bytes of a body.
const MOST: usize = 64 * 1024;

/// Reads what is to be sent, and sends it. What is wrong, in words, where something is.
pub(super) async fn publish(
    events: &EventRoutes,
    request: Request<Incoming>,
) -> (StatusCode, &'static str) {
    let id = request.uri().path().strip_prefix(SUBSCRIBERS).unwrap_or_default();
    let Some(seat) = events.all().find_map(|topics| topics.seat(id)) else {
        let what = "no subscriber has this id; GET /clients lists those of this process\n";
        return (StatusCode::NOT_FOUND, what);
    };
    let Some(form) = Form::of(request.headers()) else {
        let what = "set content-type to text/event-stream or application/json\n";
        return (StatusCode::UNSUPPORTED_MEDIA_TYPE, what);
    };
    let Ok(body) = Limited::new(request.into_body(), MOST).collect().await else {
        return (StatusCode::PAYLOAD_TOO_LARGE, "the body is larger than 64 KiB, or was cut\n");
    };
    let body: Bytes = body.to_bytes();
    let drafts = match form.read(&body) {
        Ok(drafts) => drafts,
        Err(why) => return (StatusCode::BAD_REQUEST, why),
    };
    match seat.send(&drafts) {
        Ok(()) => (StatusCode::OK, "sent\n"),
        Err(NotSent::HasId) => {
            let what = "an event for one subscriber must have no id: it would move the cursor that the \
                        subscriber comes back with\n";
            (StatusCode::BAD_REQUEST, what)
        }
        Err(NotSent::Full) => {
            let what = "the subscriber has not read what it was sent before; retry later\n";
            (StatusCode::TOO_MANY_REQUESTS, what)
        }
    }
}
