//! Upstreams as they are now, and how long what was asked of them took.

use super::{TTFB, WAIT};
use crate::record::collect::durations::Durations;
use crate::record::collect::instance::Instance;
use crate::record::collect::instance::dns::DnsMeters;
use crate::record::collect::labels::Labels;
use crate::record::collect::meters::UpstreamGauges;
use crate::record::collect::recordings::{Recordings, UpstreamRecordings};
use crate::record::export::View;
use crate::record::export::prometheus::{Kind, Text};
use crate::record::outcome::Cold;

pub(super) fn timings(text: &mut Text, names: &Labels, all: &Recordings) {
    type Of = fn(&UpstreamRecordings) -> &Durations;
    let families: [(&str, &str, Of, &[u64]); 5] = [
        (
            "firstbyte_upstream_ttfb_seconds",
            "Time from sending the request head to receiving the response head.",
            |upstream| &upstream.ttfb,
            &TTFB,
        ),
        (
            "firstbyte_upstream_first_body_seconds",
            "Time from sending the request head to receiving the first byte of the response body.",
            |upstream| &upstream.first_body,
            &TTFB,
        ),
        (
            "firstbyte_client_ttfb_seconds",
            "Time from receiving a request head to the proxy's first write to the client, for \
             requests that the upstream answered.",
            |upstream| &upstream.client_ttfb,
            &TTFB,
        ),
        (
            "firstbyte_pool_wait_seconds",
            "Time that requests waited for a stream of the pool.",
            |upstream| &upstream.pool_wait,
            &WAIT,
        ),
        (
            "firstbyte_upstream_connect_seconds",
            "Time of successful connection attempts, from TCP to the upstream's SETTINGS.",
            |upstream| &upstream.connect,
            &WAIT,
        ),
    ];
    for (name, help, values, bounds) in families {
        text.family(name, Kind::Histogram, help);
        for (label, upstream) in names.upstreams.iter().zip(&all.upstreams) {
            text.histogram(name, &[("upstream", label)], values(upstream), bounds);
        }
    }
}

pub(super) fn state(text: &mut Text, view: &View<'_>) {
    let recorded = view.instance.labels.upstreams.iter().zip(&view.totals.recordings.upstreams);
    let name = "firstbyte_cold_requests_total";
    text.family(name, Kind::Counter, "Requests that had to wait for a new connection, by cause.");
    for (label, upstream) in recorded.clone() {
        for cause in Cold::ALL {
            let labels = [("upstream", label.as_str()), ("cause", cause.label())];
            text.sample(name, &labels, upstream.cold[cause as usize]);
        }
    }
    let name = "firstbyte_upstream_connect_failures_total";
    text.family(name, Kind::Counter, "Connection attempts that failed or timed out.");
    for (label, upstream) in recorded {
        text.sample(name, &[("upstream", label)], upstream.connect_failures);
    }
    dns(text, view.instance);
    let gauges = upstream_gauges(view);
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
    let name = "firstbyte_upstream_unconnected";
    text.family(name, Kind::Gauge, "Workers that have no connection to an upstream.");
    for (label, now) in &gauges {
        text.sample(name, &[("upstream", label)], now.unconnected);
    }
    let name = "firstbyte_upstream_silent";
    text.family(name, Kind::Gauge, "Workers whose connections to an upstream are all silent.");
    for (label, now) in &gauges {
        text.sample(name, &[("upstream", label)], now.silent);
    }
    let name = "firstbyte_upstream_ejected";
    text.family(name, Kind::Gauge, "Workers that have ejected an upstream from its groups.");
    for (label, now) in &gauges {
        text.sample(name, &[("upstream", label)], now.ejected);
    }
    let name = "firstbyte_upstream_streams";
    text.family(name, Kind::Gauge, "Streams of the pool in use.");
    for (label, now) in &gauges {
        text.sample(name, &[("upstream", label)], now.streams);
    }
    let name = "firstbyte_pool_waiting";
    text.family(name, Kind::Gauge, "Requests waiting for a stream.");
    for (label, now) in &gauges {
        text.sample(name, &[("upstream", label)], now.waiting);
    }
}

fn dns(text: &mut Text, instance: &Instance) {
    type Of = fn(&DnsMeters) -> u64;
    let families: [(&str, Kind, &str, Of); 3] = [
        (
            "firstbyte_dns_failures_total",
            Kind::Counter,
            "Failed lookups of an upstream's name.",
            DnsMeters::failures,
        ),
        (
            "firstbyte_dns_changes_total",
            Kind::Counter,
            "Times that the addresses of an upstream's name changed.",
            DnsMeters::changes,
        ),
        (
            "firstbyte_dns_addresses",
            Kind::Gauge,
            "Current addresses of an upstream's name.",
            DnsMeters::known,
        ),
    ];
    let upstreams = &instance.labels.upstreams;
    for (name, kind, help, value) in families {
        text.family(name, kind, help);
        for (id, label) in upstreams.ids().zip(upstreams.iter()) {
            let value = instance.known_dns(id).map_or(0, |meters| value(&meters));
            text.sample(name, &[("upstream", label)], value);
        }
    }
}

/// Every configured upstream's gauges; zero before a worker has answered.
pub(in crate::record::export) fn upstream_gauges<'a>(
    view: &View<'a>,
) -> Vec<(&'a str, UpstreamGauges)> {
    let now = view.totals.gauges.upstreams.iter().copied();
    let filled = now.chain(std::iter::repeat(UpstreamGauges::default()));
    view.instance.labels.upstreams.iter().map(String::as_str).zip(filled).collect()
}
