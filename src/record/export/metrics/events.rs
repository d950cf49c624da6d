//! Named events; nothing where no route has any.

use std::sync::atomic::Ordering::Relaxed;

use crate::events::{EventRoutes, Topics};
use crate::record::export::prometheus::{Kind, Text};

type Number = fn(&Topics) -> u64;

const FAMILIES: [(&str, Kind, &str, Number); 5] = [
    (
        "firstbyte_events_published_total",
        Kind::Counter,
        "Events whose POST was answered with 200, by route.",
        |topics| topics.counts.published.load(Relaxed),
    ),
    (
        "firstbyte_events_delivered_total",
        Kind::Counter,
        "Events that were handed to subscribers, once for each, by route.",
        |topics| topics.counts.delivered.load(Relaxed),
    ),
    (
        "firstbyte_event_names",
        Kind::Gauge,
        "Names that events were published to or are subscribed to, by route.",
        |topics| topics.names() as u64,
    ),
    (
        "firstbyte_event_subscribers",
        Kind::Gauge,
        "Subscribers to named events, by route.",
        |topics| topics.subscribers() as u64,
    ),
    (
        "firstbyte_event_subscribers_dropped_total",
        Kind::Counter,
        "Subscribers that were dropped because they read too slowly, by route.",
        |topics| topics.counts.dropped.load(Relaxed),
    ),
];

pub(super) fn published(text: &mut Text, events: &EventRoutes) {
    if events.all().next().is_none() {
        return;
    }
    for (name, kind, help, number) in FAMILIES {
        text.family(name, kind, help);
        for topics in events.all() {
            text.sample(name, &[("route", topics.path())], number(topics));
        }
    }
}
