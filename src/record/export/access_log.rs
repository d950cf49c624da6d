//! One line per request: how [`Finished`] is written.

use std::time::Duration;

use http::Version;
use serde::Serialize;

use super::clf;
use super::date::{ClockPair, rfc3339};
use crate::config::{LogField, LogFormat};
use crate::error::Cause;
use crate::record::collect::finished::{Finished, Hedged, METHOD_BYTES, Named, cut};
use crate::record::collect::labels::{LabelId, Labels};
use crate::record::outcome::{FailoverReason, Prevented};
use crate::record::usage::Usage;

#[derive(Serialize)]
struct Left<'a> {
    from: &'a str,
    reason: &'static str,
}

#[derive(Serialize)]
struct Beside<'a> {
    to: &'a str,
    after_us: f64,
    result: &'static str,
}

#[derive(Serialize)]
struct Tokens {
    input: u64,
    cached: u64,
    output: u64,
}

#[derive(Serialize)]
struct Sides {
    upstream: Option<f64>,
    client: Option<f64>,
}

#[derive(Serialize)]
struct Phases {
    request: Option<f64>,
    head: Option<f64>,
    chunk_max: Option<f64>,
}

/// Appends the request as one line with its newline.
pub(super) fn append_line(
    out: &mut Vec<u8>,
    finished: &Finished,
    labels: &Labels,
    format: &LogFormat,
    clocks: ClockPair,
) -> Result<(), serde_json::Error> {
    let LogFormat::Json(fields) = format else {
        clf::append_line(out, finished, clocks);
        return Ok(());
    };
    let mut before = b'{';
    for field in fields {
        out.push(before);
        before = b',';
        out.push(b'"');
        out.extend_from_slice(field.name().as_bytes());
        out.extend_from_slice(b"\":");
        append_value(out, *field, finished, labels, clocks)?;
    }
    out.extend_from_slice(b"}\n");
    Ok(())
}

fn append_value(
    out: &mut Vec<u8>,
    field: LogField,
    finished: &Finished,
    labels: &Labels,
    clocks: ClockPair,
) -> Result<(), serde_json::Error> {
    let Finished { id, opened, facts, outcome, duration } = finished;
    let named = |of: fn(&Named) -> &Option<String>| {
        facts.named.as_deref().and_then(|all| of(all).as_deref())
    };
    let charged = facts.client.as_deref().and_then(|client| Some((client.usage?, client)));
    match field {
        LogField::Ts => put(out, rfc3339(clocks.date(opened.at))),
        LogField::Id => put(out, id.to_string()),
        LogField::Client => put(out, opened.client),
        LogField::ClientName => put(out, facts.client.as_deref().map(|client| &*client.name)),
        LogField::Hashed => put(
            out,
            facts.named.as_deref().map(|all| &all.hashed).filter(|hashed| !hashed.is_empty()),
        ),
        LogField::Version => put(out, version_name(opened.version)),
        LogField::Method => put(out, cut(opened.method.as_str(), METHOD_BYTES)),
        LogField::Path => put(out, &opened.path),
        LogField::Route => put(out, facts.route.map(|id| labels.route(Some(id)))),
        LogField::Stream => put(out, facts.stream.as_deref()),
        LogField::Model => put(out, facts.model.map(|id| labels.model(id))),
        LogField::Upstream => put(out, facts.upstream.map(|id| labels.upstream(Some(id)))),
        LogField::UpstreamVersion => put(out, facts.upstream_version.map(version_name)),
        LogField::Status => put(out, facts.status.map(|status| status.as_u16())),
        LogField::UpstreamStatus => put(out, facts.upstream_status.map(|status| status.as_u16())),
        LogField::Outcome => put(out, outcome.label()),
        LogField::Error => put(out, facts.fault),
        LogField::Cause => put(out, facts.cause.map(Cause::word)),
        LogField::Cold => put(out, facts.cold),
        LogField::PoolWait => put(out, facts.pool_wait.map(us)),
        LogField::Ttfb => put(out, sides(facts.upstream_ttfb, facts.client_ttfb)),
        LogField::FirstBody => put(out, facts.upstream_first_body.map(us)),
        LogField::Overhead => put(
            out,
            Phases {
                request: facts.overhead_request.map(us),
                head: facts.overhead_head.map(us),
                chunk_max: facts.overhead_chunk_max.map(us),
            },
        ),
        LogField::GapMax => put(out, sides(facts.gap_upstream_max, facts.gap_client_max)),
        LogField::Frames => put(out, facts.frames),
        LogField::BytesUp => put(out, facts.bytes_up),
        LogField::BytesDown => put(out, facts.bytes_down),
        LogField::BytesSent => put(out, facts.bytes_sent),
        LogField::Replays => put(out, facts.replays),
        LogField::Attempts => put(out, facts.attempts()),
        LogField::Failovers => put(out, left(&facts.left, labels)),
        LogField::Retries => put(out, facts.retries),
        LogField::RetryWait => put(out, facts.retry_wait.map(us)),
        LogField::AttemptPrevented => put(out, facts.prevented.map(Prevented::label)),
        LogField::Hedge => put(out, facts.hedge.as_deref().map(|hedge| beside(hedge, labels))),
        LogField::Cancel => put(out, facts.cancel_max.map(us)),
        LogField::Duration => put(out, us(*duration)),
        LogField::Usage => put(out, charged.map(|(usage, _)| tokens(usage))),
        LogField::Estimated => put(out, charged.map(|(_, client)| client.estimated)),
        LogField::Cost => put(out, charged.map(|(_, client)| client.cost as f64 / 1e9)),
        LogField::UpstreamRequestId => put(out, facts.upstream_request_id.as_deref()),
        LogField::ClientRequestId => put(out, named(|all| &all.request_id)),
        LogField::Traceparent => put(out, named(|all| &all.traceparent)),
    }
}

fn put(out: &mut Vec<u8>, value: impl Serialize) -> Result<(), serde_json::Error> {
    serde_json::to_writer(out, &value)
}

fn tokens(usage: Usage) -> Tokens {
    let Usage { input, cached, output } = usage;
    Tokens { input, cached, output }
}

fn us(took: Duration) -> f64 {
    took.as_nanos() as f64 / 1e3
}

fn sides(upstream: Option<Duration>, client: Option<Duration>) -> Sides {
    Sides { upstream: upstream.map(us), client: client.map(us) }
}

fn left<'a>(all: &[(LabelId, FailoverReason)], labels: &'a Labels) -> Vec<Left<'a>> {
    let one = |(from, reason): &(LabelId, FailoverReason)| Left {
        from: labels.upstream(Some(*from)),
        reason: reason.label(),
    };
    all.iter().map(one).collect()
}

fn beside<'a>(hedge: &Hedged, labels: &'a Labels) -> Beside<'a> {
    Beside {
        to: labels.upstream(Some(hedge.to)),
        after_us: us(hedge.after),
        result: hedge.end.label(),
    }
}

fn version_name(version: Version) -> &'static str {
    match version {
        Version::HTTP_09 => "HTTP/0.9",
        Version::HTTP_10 => "HTTP/1.0",
        Version::HTTP_2 => "HTTP/2",
        Version::HTTP_3 => "HTTP/3",
        _ => "HTTP/1.1",
    }
}
