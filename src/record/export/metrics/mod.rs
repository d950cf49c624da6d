//! Which metrics there are. Names, labels and units are described in `docs/metrics.md`.

mod ends;
mod sheds;

pub(in crate::record) use ends::{failovers_by_name, requests_by_name};

use std::sync::PoisonError;
use std::time::UNIX_EPOCH;

use super::process::Process;
use super::prometheus::{Kind, Text};
use crate::record::collect::dns::DnsMeters;
use crate::record::collect::durations::Durations;
use crate::record::collect::hub::{Hub, Totals};
use crate::record::collect::meters::UpstreamGauges;
use crate::record::collect::recordings::{Recordings, UpstreamRecordings};

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
/// For the silence between two chunks: tokens come every 5 to 100 ms.
const GAP: [u64; 15] = [
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
];
/// For an answer's beginning: a reasoning model may think for a minute.
const TTFB: [u64; 15] = [
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
pub(in crate::record) fn render(hub: &Hub, totals: &Totals) -> String {
    let mut text = Text::default();
    ends::requests(&mut text, hub, &totals.recordings);
    ends::failovers(&mut text, hub, &totals.recordings);
    ends::ejections(&mut text, hub, &totals.recordings);
    ends::retries(&mut text, hub, &totals.recordings);
    ends::hedges(&mut text, hub, &totals.recordings);
    ends::timeouts(&mut text, hub, &totals.recordings);
    ends::silences(&mut text, hub, &totals.recordings);
    ends::floods(&mut text, hub, &totals.recordings);
    ends::oversizes(&mut text, hub, &totals.recordings);
    ends::probes(&mut text, hub, &totals.recordings);
    sheds::sheds(&mut text, &totals.recordings);
    sheds::ceilings(&mut text, &hub.ceilings);
    timings(&mut text, &totals.recordings);
    upstream_timings(&mut text, hub, &totals.recordings);
    upstream_state(&mut text, hub, totals);
    ourselves(&mut text, hub, totals);
    hub.configured.show(&mut text);
    process(&mut text, hub);
    text.into_string()
}

fn timings(text: &mut Text, all: &Recordings) {
    let name = "firstbyte_overhead_seconds";
    text.family(name, Kind::Histogram, "Time that the proxy added, by phase.");
    for (phase, values) in [
        ("request", &all.overhead_request),
        ("head", &all.overhead_head),
        ("chunk", &all.overhead_chunk),
    ] {
        text.histogram(name, &[("phase", phase)], values, &OVERHEAD);
    }
    let name = "firstbyte_chunk_gap_seconds";
    text.family(name, Kind::Histogram, "Time between two chunks of one answer, by side.");
    for (side, values) in [("upstream", &all.gap_upstream), ("client", &all.gap_client)] {
        text.histogram(name, &[("side", side)], values, &GAP);
    }
    let name = "firstbyte_cancel_seconds";
    text.family(name, Kind::Histogram, "Time from giving a request up to telling its upstream.");
    text.histogram(name, &[], &all.cancel, &OVERHEAD);
    let name = "firstbyte_request_duration_seconds";
    text.family(name, Kind::Histogram, "Time from a request's head to its record's end.");
    text.histogram(name, &[], &all.duration, &DURATION);
}

fn upstream_timings(text: &mut Text, hub: &Hub, all: &Recordings) {
    type Of = fn(&UpstreamRecordings) -> &Durations;
    let families: [(&str, &str, Of, &[u64]); 5] = [
        (
            "firstbyte_upstream_ttfb_seconds",
            "Time from the request's head sent to the answer's head received.",
            |upstream| &upstream.ttfb,
            &TTFB,
        ),
        (
            "firstbyte_upstream_first_body_seconds",
            "Time from the request's head sent to the first byte of the answer's body.",
            |upstream| &upstream.first_body,
            &TTFB,
        ),
        (
            "firstbyte_client_ttfb_seconds",
            "Time from a request's head received to our first write, where the upstream answered.",
            |upstream| &upstream.client_ttfb,
            &TTFB,
        ),
        (
            "firstbyte_pool_wait_seconds",
            "Time from asking the pool to having a stream.",
            |upstream| &upstream.pool_wait,
            &WAIT,
        ),
        (
            "firstbyte_upstream_connect_seconds",
            "Time of a connect that succeeded, from TCP to the peer's SETTINGS.",
            |upstream| &upstream.connect,
            &WAIT,
        ),
    ];
    for (name, help, values, bounds) in families {
        text.family(name, Kind::Histogram, help);
        for (label, upstream) in hub.names.upstreams.iter().zip(&all.upstreams) {
            text.histogram(name, &[("upstream", label)], values(upstream), bounds);
        }
    }
}

fn upstream_state(text: &mut Text, hub: &Hub, totals: &Totals) {
    let recorded = hub.names.upstreams.iter().zip(&totals.recordings.upstreams);
    let name = "firstbyte_cold_requests_total";
    text.family(name, Kind::Counter, "Requests that had to wait for a connect.");
    for (label, upstream) in recorded.clone() {
        text.sample(name, &[("upstream", label)], upstream.cold);
    }
    let name = "firstbyte_upstream_connect_failures_total";
    text.family(name, Kind::Counter, "Connects that failed or ran out of time.");
    for (label, upstream) in recorded {
        text.sample(name, &[("upstream", label)], upstream.connect_failures);
    }
    dns(text, hub);
    let gauges = upstream_gauges(hub, totals);
    let name = "firstbyte_upstream_connections";
    text.family(name, Kind::Gauge, "Connections to an upstream, by state.");
    for (label, now) in &gauges {
        for (state, count) in [
            ("connecting", now.connecting),
            ("ready", now.ready),
            ("suspect", now.suspect),
            ("draining", now.draining),
        ] {
            text.sample(name, &[("upstream", label), ("state", state)], count);
        }
    }
    let name = "firstbyte_upstream_silent";
    text.family(name, Kind::Gauge, "Workers that no open connection to an upstream answers.");
    for (label, now) in &gauges {
        text.sample(name, &[("upstream", label)], now.silent);
    }
    let name = "firstbyte_upstream_ejected";
    text.family(name, Kind::Gauge, "Workers that leave an upstream out of its groups.");
    for (label, now) in &gauges {
        text.sample(name, &[("upstream", label)], now.ejected);
    }
    let name = "firstbyte_upstream_streams";
    text.family(name, Kind::Gauge, "Streams leased from the pool.");
    for (label, now) in &gauges {
        text.sample(name, &[("upstream", label)], now.streams);
    }
    let name = "firstbyte_pool_waiting";
    text.family(name, Kind::Gauge, "Requests that wait for a stream.");
    for (label, now) in &gauges {
        text.sample(name, &[("upstream", label)], now.waiting);
    }
}

fn dns(text: &mut Text, hub: &Hub) {
    type Of = fn(&DnsMeters) -> u64;
    let families: [(&str, Kind, &str, Of); 3] = [
        (
            "firstbyte_dns_failures_total",
            Kind::Counter,
            "Times that an upstream's name did not resolve.",
            DnsMeters::failures,
        ),
        (
            "firstbyte_dns_changes_total",
            Kind::Counter,
            "Times that an upstream's name resolved to other addresses than before.",
            DnsMeters::changes,
        ),
        (
            "firstbyte_dns_addresses",
            Kind::Gauge,
            "Addresses that an upstream's name has.",
            DnsMeters::known,
        ),
    ];
    let all = hub.dns.lock().unwrap_or_else(PoisonError::into_inner);
    for (name, kind, help, value) in families {
        text.family(name, kind, help);
        for (id, label) in hub.names.upstreams.ids().zip(hub.names.upstreams.iter()) {
            let value = all.get(&id).map_or(0, |meters| value(meters));
            text.sample(name, &[("upstream", label)], value);
        }
    }
}

/// Every configured upstream's gauges; zero before a worker has answered.
pub(super) fn upstream_gauges<'a>(hub: &'a Hub, totals: &Totals) -> Vec<(&'a str, UpstreamGauges)> {
    let now = totals.gauges.upstreams.iter().copied();
    let filled = now.chain(std::iter::repeat(UpstreamGauges::default()));
    hub.names.upstreams.iter().map(String::as_str).zip(filled).collect()
}

fn ourselves(text: &mut Text, hub: &Hub, totals: &Totals) {
    let (counter, gauge) = (Kind::Counter, Kind::Gauge);
    let help = "Requests between their head and their end.";
    text.single("firstbyte_streams_in_flight", gauge, help, totals.gauges.streams_in_flight);
    let help = "Open connections of clients.";
    text.single("firstbyte_client_connections", gauge, help, totals.gauges.client_connections);
    let drained_for = hub.drained_for();
    let help = "1 once the process leaves: it takes nothing new, and finishes what it has.";
    text.single("firstbyte_draining", gauge, help, u64::from(drained_for.is_some()));
    let help = "Seconds since it leaves; 0 before.";
    let seconds = drained_for.unwrap_or_default().as_secs_f64();
    text.single("firstbyte_drain_seconds", gauge, help, seconds);
    let help = "Requests (streams, not connections) cut at the end of a drain.";
    text.single("firstbyte_drain_cut_total", counter, help, totals.recordings.cut);
    let help = "Access log lines lost because the log could not keep up or refused them.";
    text.single("firstbyte_access_log_dropped_total", counter, help, totals.log_dropped);
    let help = "Workers meant to run.";
    text.single("firstbyte_workers", gauge, help, hub.workers);
    let help = "Times that a worker was left out of a scrape since it did not answer in time.";
    text.single("firstbyte_worker_scrape_misses_total", counter, help, totals.missed);
    let name = "firstbyte_build_info";
    text.family(name, gauge, "Always 1; the labels say what runs.");
    text.sample(name, &[("version", hub.version), ("commit", hub.commit)], 1);
}

fn process(text: &mut Text, hub: &Hub) {
    let now = Process::read();
    let help = "User and system CPU time spent, in seconds.";
    text.single("process_cpu_seconds_total", Kind::Counter, help, now.cpu_seconds);
    let start = hub.started_at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
    let help = "Start time of the process since the Unix epoch, in seconds.";
    text.single("process_start_time_seconds", Kind::Gauge, help, start);
    for (name, help, value) in [
        ("process_resident_memory_bytes", "Resident memory, in bytes.", now.resident_bytes),
        ("process_virtual_memory_bytes", "Virtual memory, in bytes.", now.virtual_bytes),
        ("process_threads", "Threads.", now.threads),
        ("process_open_fds", "Open file descriptors.", now.open_fds),
        ("process_max_fds", "Limit of open file descriptors.", now.max_fds),
    ] {
        if let Some(value) = value {
            text.single(name, Kind::Gauge, help, value);
        }
    }
}
