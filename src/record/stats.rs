//! `/stats`: the same numbers as JSON, with quantiles instead of buckets.

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::durations::Durations;
use super::hub::{Hub, Totals};
use super::metrics::{requests_by_name, upstream_gauges};
use super::outcome::{Outcome, ReplayReason};
use super::recordings::UpstreamRecordings;

/// One distribution, in microseconds. Quantiles are at most 0.1 % too high; the rest is exact.
#[derive(Serialize)]
struct Quantiles {
    count: u64,
    mean: f64,
    p50: f64,
    p90: f64,
    p99: f64,
    #[serde(rename = "p99.9")]
    p999: f64,
    max: f64,
}

fn quantiles(values: &Durations) -> Value {
    let shown = Quantiles {
        count: values.count(),
        mean: values.mean_us(),
        p50: values.quantile_us(0.5),
        p90: values.quantile_us(0.9),
        p99: values.quantile_us(0.99),
        p999: values.quantile_us(0.999),
        max: values.max_us(),
    };
    json!(shown)
}

/// The page as JSON, pretty, for people too.
pub(super) fn render(hub: &Hub, totals: &Totals) -> String {
    let all = &totals.recordings;
    let requests: Vec<Value> = requests_by_name(hub, all)
        .into_iter()
        .map(|((route, upstream, code), count)| {
            json!({ "route": route, "upstream": upstream, "code": code, "count": count })
        })
        .collect();
    let ends: Map<String, Value> = Outcome::ALL
        .iter()
        .map(|outcome| (outcome.label().to_owned(), json!(all.ends[*outcome as usize])))
        .collect();
    let replays: Map<String, Value> = ReplayReason::ALL
        .iter()
        .map(|reason| (reason.label().to_owned(), json!(all.replays[*reason as usize])))
        .collect();
    let page = json!({
        "version": hub.version,
        "commit": hub.commit,
        "uptime_seconds": hub.started.elapsed().as_secs_f64(),
        "workers": {
            "configured": hub.workers,
            "answered": totals.answered,
            "silent": totals.silent,
            "scrape_misses": totals.missed,
        },
        "streams_in_flight": totals.gauges.streams_in_flight,
        "client_connections": totals.gauges.client_connections,
        "access_log_dropped": totals.log_dropped,
        "requests": requests,
        "stream_end": ends,
        "replays": replays,
        "latency_us": {
            "overhead": {
                "request": quantiles(&all.overhead_request),
                "head": quantiles(&all.overhead_head),
                "chunk": quantiles(&all.overhead_chunk),
            },
            "chunk_gap": {
                "upstream": quantiles(&all.gap_upstream),
                "client": quantiles(&all.gap_client),
            },
            "cancel": quantiles(&all.cancel),
            "request_duration": quantiles(&all.duration),
        },
        "upstreams": upstreams(hub, totals),
    });
    let mut text = format!("{page:#}");
    text.push('\n');
    text
}

fn upstreams(hub: &Hub, totals: &Totals) -> Vec<Value> {
    let nothing = UpstreamRecordings::default();
    let recorded = totals.recordings.upstreams.iter().chain(std::iter::repeat(&nothing));
    upstream_gauges(hub, totals)
        .into_iter()
        .zip(recorded)
        .map(|((name, now), all)| {
            json!({
                "name": name,
                "connections": {
                    "connecting": now.connecting,
                    "ready": now.ready,
                    "draining": now.draining,
                },
                "streams": now.streams,
                "waiting": now.waiting,
                "cold_requests": all.cold,
                "connect_failures": all.connect_failures,
                "latency_us": {
                    "upstream_ttfb": quantiles(&all.ttfb),
                    "upstream_first_body": quantiles(&all.first_body),
                    "client_ttfb": quantiles(&all.client_ttfb),
                    "pool_wait": quantiles(&all.pool_wait),
                    "connect": quantiles(&all.connect),
                },
            })
        })
        .collect()
}
