//! Which metrics there are. Names, labels and units are described in `docs/metrics.md`.

mod adaptive;
mod clients;
mod ends;
mod events;
mod fanout;
mod instance;
mod models;
mod redis;
mod sheds;
mod streams;
mod tls;
mod upstreams;

pub(super) use ends::{failovers_by_name, failures_by_name, requests_by_name};
pub(super) use upstreams::upstream_gauges;

use super::View;
use super::prometheus::{Kind, Text};
use crate::record::collect::recordings::Recordings;

const US: u64 = 1_000;
const MS: u64 = 1_000_000;
const S: u64 = 1_000_000_000;

/// For what we add ourselves: the aim is tens of microseconds.
const OVERHEAD: [u64; 13] = [
    10 * US,
    25 * US,
    50 * US,
    100 * US,
    250 * US,
    500 * US,
    MS,
    2_500 * US,
    5 * MS,
    10 * MS,
    25 * MS,
    100 * MS,
    S,
];
/// For the silence between two chunks: tokens come every 5 to 100 ms, and it ends at the deadline.
const GAP: [u64; 18] = [
    500 * US,
    MS,
    2_500 * US,
    5 * MS,
    10 * MS,
    25 * MS,
    50 * MS,
    100 * MS,
    250 * MS,
    500 * MS,
    S,
    5 * S,
    10 * S,
    30 * S,
    60 * S,
    120 * S,
    300 * S,
    600 * S,
];
/// For an answer's beginning: a reasoning model may think for minutes, up to the deadline.
const TTFB: [u64; 18] = [
    MS,
    2_500 * US,
    5 * MS,
    10 * MS,
    25 * MS,
    50 * MS,
    100 * MS,
    250 * MS,
    500 * MS,
    S,
    2_500 * MS,
    5 * S,
    10 * S,
    30 * S,
    60 * S,
    120 * S,
    300 * S,
    600 * S,
];
/// For a wait that is nothing, a round trip or two, or a queue.
const WAIT: [u64; 10] =
    [10 * US, 100 * US, MS, 5 * MS, 25 * MS, 100 * MS, 250 * MS, S, 2_500 * MS, 10 * S];
/// For whole requests: from a refusal to an hour's stream.
const DURATION: [u64; 12] = [
    MS,
    10 * MS,
    100 * MS,
    500 * MS,
    S,
    5 * S,
    10 * S,
    30 * S,
    60 * S,
    300 * S,
    600 * S,
    3_600 * S,
];

/// The page for Prometheus.
pub(in crate::record) fn render(view: &View<'_>) -> String {
    let (names, all) = (&*view.instance.labels, &view.totals.recordings);
    let mut text = Text::default();
    ends::requests(&mut text, view);
    models::requests(&mut text, view);
    ends::failures(&mut text, names, all);
    ends::failovers(&mut text, view);
    ends::ejections(&mut text, names, all);
    ends::retries(&mut text, names, all);
    ends::hedges(&mut text, names, all);
    ends::timeouts(&mut text, names, all);
    ends::silences(&mut text, names, all);
    ends::floods(&mut text, names, all);
    ends::oversizes(&mut text, names, all);
    ends::probes(&mut text, names, all);
    sheds::sheds(&mut text, all);
    clients::clients(&mut text, view.instance.clients.shown().as_ref(), all);
    tls::handshakes(&mut text, all);
    tls::certificates(&mut text, view.instance);
    adaptive::limits(&mut text, view.instance);
    instance::ceilings(&mut text, &view.instance.ceilings);
    instance::store(&mut text, &view.instance.store);
    redis::shared(&mut text, view.instance);
    fanout::shared(&mut text, view.instance);
    streams::kept(&mut text, view.instance);
    events::published(&mut text, &view.instance.events());
    timings(&mut text, all);
    upstreams::timings(&mut text, names, all);
    upstreams::state(&mut text, view);
    instance::ourselves(&mut text, view);
    instance::configured(&mut text, &view.instance.configured);
    instance::process(&mut text, view.instance);
    text.into_string()
}

fn timings(text: &mut Text, all: &Recordings) {
    let name = "firstbyte_overhead_seconds";
    text.family(name, Kind::Histogram, "Time added by the proxy, by phase.");
    for (phase, values) in [
        ("request", &all.overhead_request),
        ("head", &all.overhead_head),
        ("chunk", &all.overhead_chunk),
    ] {
        text.histogram(name, &[("phase", phase)], values, &OVERHEAD);
    }
    let name = "firstbyte_chunk_gap_seconds";
    text.family(name, Kind::Histogram, "Time between two chunks of a response, by side.");
    for (side, values) in [("upstream", &all.gap_upstream), ("client", &all.gap_client)] {
        text.histogram(name, &[("side", side)], values, &GAP);
    }
    let name = "firstbyte_cancel_seconds";
    text.family(
        name,
        Kind::Histogram,
        "Time from giving up a request to cancelling it at the upstream.",
    );
    text.histogram(name, &[], &all.cancel, &OVERHEAD);
    let name = "firstbyte_request_duration_seconds";
    text.family(name, Kind::Histogram, "Time from a request's head to the end of the request.");
    text.histogram(name, &[], &all.duration, &DURATION);
}
