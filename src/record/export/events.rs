//! Named events as JSON, for `/stats` and `/clients`.

use std::sync::atomic::Ordering::Relaxed;
use std::time::UNIX_EPOCH;

use serde_json::{Value, json};

use crate::events::{EventRoutes, Seat, Topics};

/// Subscribers on one page. More are counted and not listed.
const MOST: usize = 1000;

/// How many there are of what, by route.
pub(in crate::record) fn all(events: &EventRoutes) -> Value {
    let route = |topics: &Topics| {
        json!({
            "route": topics.path(),
            "names": topics.names(),
            "subscribers": topics.subscribers(),
            "published": topics.counts.published.load(Relaxed),
            "delivered": topics.counts.delivered.load(Relaxed),
            "dropped": topics.counts.dropped.load(Relaxed),
        })
    };
    events.all().map(|topics| route(topics)).collect()
}

/// Who is connected.
pub(in crate::record) fn connected(events: &EventRoutes) -> Value {
    let of = |topics: &Topics| -> Vec<Value> {
        topics.seats(MOST).iter().map(|seat| subscriber(topics, seat)).collect()
    };
    let mut listed: Vec<Value> = events.all().flat_map(|topics| of(topics)).collect();
    listed.truncate(MOST);
    let total: usize = events.all().map(|topics| topics.subscribers()).sum();
    json!({ "subscribers": total, "listed": listed.len(), "list": listed })
}

fn subscriber(topics: &Topics, seat: &Seat) -> Value {
    let since = seat.card.since.duration_since(UNIX_EPOCH).unwrap_or_default();
    json!({
        "id": seat.card.request,
        "route": topics.path(),
        "name": seat.topic().name().as_str(),
        "client": seat.card.client.as_deref(),
        "address": seat.card.address,
        "since": since.as_secs_f64(),
        "last_event_id": seat.position(),
    })
}
