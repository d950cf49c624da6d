//! `/stats`: the same numbers as JSON, with quantiles instead of buckets.

use std::sync::Arc;

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::metrics::{failovers_by_name, failures_by_name, requests_by_name, upstream_gauges};
use super::{View, clients, events};
use crate::record::collect::durations::Durations;
use crate::record::collect::instance::Instance;
use crate::record::collect::instance::adaptive::LimitMeters;
use crate::record::collect::labels::Labels;
use crate::record::collect::recordings::{PROBES, Recordings, UpstreamRecordings};
use crate::record::outcome::{
    Clock, Cold, Ejection, Handshake, Hangup, HedgeEnd, KeptEnd, Lowered, NoUsage, Outcome,
    Oversize, Prevented, ReplayReason, Resume, Shed, Silence,
};

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
pub(in crate::record) fn render(view: &View<'_>) -> String {
    let View { instance, totals, log_dropped } = *view;
    let all = &totals.recordings;
    let page = json!({
        "version": instance.version,
        "commit": instance.commit,
        "uptime_seconds": instance.started.elapsed().as_secs_f64(),
        "workers": {
            "configured": instance.workers,
            "answered": totals.answered,
            "silent": totals.silent,
            "scrape_misses": totals.missed,
        },
        "streams_in_flight": totals.gauges.streams_in_flight,
        "client_connections": totals.gauges.client_connections,
        "drain": {
            "draining": instance.drained_for().is_some(),
            "seconds": instance.drained_for().unwrap_or_default().as_secs_f64(),
            "cut": all.cut,
        },
        "access_log_dropped": log_dropped,
        "requests": requests(&instance.labels, all),
        "stream_end": counts(Outcome::ALL.map(Outcome::label), all.ends()),
        "replays": counts(ReplayReason::ALL.map(ReplayReason::label), all.replays),
        "upstream_failures": failures(&instance.labels, all),
        "failovers": failovers(&instance.labels, all),
        "attempts_prevented": counts(Prevented::ALL.map(Prevented::label), all.prevented),
        "shed": counts(Shed::ALL.map(Shed::label), all.sheds),
        "hangups": counts(Hangup::ALL.map(Hangup::label), all.hangups),
        "tls_handshakes": counts(Handshake::ALL.map(Handshake::label), all.handshakes),
        "accept_pauses": all.accept_pauses,
        "panics": all.panics,
        "client_connections_max": instance.ceilings.connections(),
        "memory": instance.ceilings.memory().map(|(ceiling, used, level)| {
            json!({ "ceiling_bytes": ceiling, "used_bytes": used, "level": level })
        }),
        "adaptive_limits": adaptive(instance),
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
        "upstreams": upstreams(view),
        "kept_streams": kept_streams(instance),
        "events": events::all(&instance.events()),
        "clients": instance.clients.shown().as_ref().map(clients::all),
        "usage_unknown": counts(NoUsage::ALL.map(NoUsage::label), all.usage_unknown),
    });
    let mut text = format!("{page:#}");
    text.push('\n');
    text
}

/// `null` where no route keeps streams.
fn kept_streams(instance: &Instance) -> Value {
    let streams = &*instance.streams;
    let (kept, readers) = streams.gauges();
    if !streams.is_used() {
        return Value::Null;
    }
    json!({
        "streams": kept,
        "bytes": streams.bytes(),
        "readers": readers,
        "ended": counts(KeptEnd::ALL.map(KeptEnd::label), streams.ends()),
        "resumes": counts(Resume::ALL.map(Resume::label), streams.resumes()),
    })
}

fn adaptive(instance: &Instance) -> Vec<Value> {
    let one = |(label, name, meters): (&'static str, String, Arc<LimitMeters>)| {
        json!({
            label: name,
            "streams": meters.bound(),
            "in_flight": meters.in_flight(),
            "lowered": counts(Lowered::ALL.map(Lowered::label), Lowered::ALL.map(|why| meters.count(why))),
        })
    };
    instance.adaptives.each().into_iter().map(one).collect()
}

fn requests(names: &Labels, all: &Recordings) -> Vec<Value> {
    let counted = requests_by_name(names, all).into_iter();
    let one = |((route, upstream, code), count)| json!({ "route": route, "upstream": upstream, "code": code, "count": count });
    counted.map(one).collect()
}

fn failovers(names: &Labels, all: &Recordings) -> Vec<Value> {
    let counted = failovers_by_name(names, all).into_iter();
    let one = |((from, to, reason), count)| json!({ "from": from, "to": to, "reason": reason, "count": count });
    counted.map(one).collect()
}

fn failures(names: &Labels, all: &Recordings) -> Vec<Value> {
    let counted = failures_by_name(names, all).into_iter();
    let one = |((upstream, cause), count)| json!({ "upstream": upstream, "cause": cause, "count": count });
    counted.map(one).collect()
}

fn counts<const N: usize>(labels: [&str; N], counts: [u64; N]) -> Map<String, Value> {
    let named = labels.into_iter().zip(counts);
    named.map(|(label, count)| (label.to_owned(), json!(count))).collect()
}

fn upstreams(view: &View<'_>) -> Vec<Value> {
    let nothing = UpstreamRecordings::default();
    let recorded = view.totals.recordings.upstreams.iter().chain(std::iter::repeat(&nothing));
    upstream_gauges(view)
        .into_iter()
        .zip(recorded)
        .map(|((name, now), all)| {
            json!({
                "name": name,
                "connections": {
                    "connecting": now.connecting,
                    "ready": now.ready,
                    "suspect": now.suspect,
                    "draining": now.draining,
                },
                "streams": now.streams,
                "waiting": now.waiting,
                "cold_requests": all.cold.iter().sum::<u64>(),
                "cold_by_cause": counts(Cold::ALL.map(Cold::label), all.cold),
                "connect_failures": all.connect_failures,
                "retries": all.retries,
                "silent_to_workers": now.silent,
                "unconnected_workers": now.unconnected,
                "oversize_heads": counts(Oversize::ALL.map(Oversize::label), all.oversizes),
                "silences": counts(Silence::ALL.map(Silence::label), all.silences),
                "hedges": counts(HedgeEnd::ALL.map(HedgeEnd::label), all.hedges),
                "hedge_losers": all.overtaken,
                "floods": all.floods,
                "probes": counts(PROBES, all.probes),
                "ejected_by_workers": now.ejected,
                "ejections": counts(Ejection::ALL.map(Ejection::label), all.ejections),
                "timeouts": counts(Clock::ALL.map(Clock::label), all.timeouts),
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
