//! One line of JSON per request: how [`Finished`] is written.

use std::net::SocketAddr;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use http::Version;
use serde::Serialize;

use crate::error::Cause;
use crate::record::collect::finished::{Finished, Hedged, cut};
use crate::record::collect::labels::{LabelId, Labels};
use crate::record::outcome::{FailoverReason, Prevented};

/// Longer methods are cut to this many bytes.
const METHOD_BYTES: usize = 32;

#[derive(Serialize)]
struct Line<'a> {
    ts: String,
    id: String,
    client: SocketAddr,
    version: &'static str,
    method: &'a str,
    path: &'a str,
    route: Option<&'a str>,
    upstream: Option<&'a str>,
    upstream_version: Option<&'static str>,
    status: Option<u16>,
    upstream_status: Option<u16>,
    outcome: &'static str,
    error: Option<&'static str>,
    cause: Option<&'static str>,
    cold: bool,
    pool_wait_us: Option<f64>,
    ttfb_us: Sides,
    overhead_us: Phases,
    gap_max_us: Sides,
    frames: u64,
    bytes_up: u64,
    bytes_down: u64,
    replays: u32,
    attempts: usize,
    failovers: Vec<Left<'a>>,
    retries: u32,
    retry_wait_us: Option<f64>,
    attempt_prevented: Option<&'static str>,
    hedge: Option<Beside<'a>>,
    cancel_us: Option<f64>,
    duration_us: f64,
    upstream_request_id: Option<&'a str>,
}

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

/// The two clocks at one moment: instants become dates by their distance from it, so that the path
/// reads one clock and the log follows a clock that was set.
#[derive(Clone, Copy)]
pub(in crate::record) struct ClockPair {
    monotonic: Instant,
    wall: SystemTime,
}

impl ClockPair {
    pub(in crate::record) fn now() -> ClockPair {
        ClockPair { monotonic: Instant::now(), wall: SystemTime::now() }
    }

    fn date(&self, at: Instant) -> SystemTime {
        let ago = self.monotonic.saturating_duration_since(at);
        self.wall.checked_sub(ago).unwrap_or(UNIX_EPOCH)
    }
}

/// Appends the request as one line of JSON with its newline.
pub(super) fn append_line(
    out: &mut Vec<u8>,
    finished: &Finished,
    labels: &Labels,
    clocks: ClockPair,
) -> Result<(), serde_json::Error> {
    let Finished { id, opened, facts, outcome, duration } = finished;
    let left = |(from, reason): &(LabelId, FailoverReason)| Left {
        from: labels.upstream(Some(*from)),
        reason: reason.label(),
    };
    let beside = |hedge: &Hedged| Beside {
        to: labels.upstream(Some(hedge.to)),
        after_us: hedge.after.as_nanos() as f64 / 1e3,
        result: hedge.end.label(),
    };
    let line = Line {
        ts: rfc3339(clocks.date(opened.at)),
        id: id.to_string(),
        client: opened.client,
        version: version_name(opened.version),
        method: cut(opened.method.as_str(), METHOD_BYTES),
        path: &opened.path,
        route: facts.route.map(|id| labels.route(Some(id))),
        upstream: facts.upstream.map(|id| labels.upstream(Some(id))),
        upstream_version: facts.upstream_version.map(version_name),
        status: facts.status.map(|status| status.as_u16()),
        upstream_status: facts.upstream_status.map(|status| status.as_u16()),
        outcome: outcome.label(),
        error: facts.fault,
        cause: facts.cause.map(Cause::word),
        cold: facts.cold,
        pool_wait_us: us(facts.pool_wait),
        ttfb_us: Sides { upstream: us(facts.upstream_ttfb), client: us(facts.client_ttfb) },
        overhead_us: Phases {
            request: us(facts.overhead_request),
            head: us(facts.overhead_head),
            chunk_max: us(facts.overhead_chunk_max),
        },
        gap_max_us: Sides {
            upstream: us(facts.gap_upstream_max),
            client: us(facts.gap_client_max),
        },
        frames: facts.frames,
        bytes_up: facts.bytes_up,
        bytes_down: facts.bytes_down,
        replays: facts.replays,
        attempts: facts.attempts(),
        failovers: facts.left.iter().map(left).collect(),
        retries: facts.retries,
        retry_wait_us: us(facts.retry_wait),
        attempt_prevented: facts.prevented.map(Prevented::label),
        hedge: facts.hedge.as_deref().map(beside),
        cancel_us: us(facts.cancel_max),
        duration_us: duration.as_nanos() as f64 / 1e3,
        upstream_request_id: facts.upstream_request_id.as_deref(),
    };
    serde_json::to_writer(&mut *out, &line)?;
    out.push(b'\n');
    Ok(())
}

fn us(took: Option<Duration>) -> Option<f64> {
    took.map(|took| took.as_nanos() as f64 / 1e3)
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

/// UTC with milliseconds (RFC 3339, section 5.6). A date before 1970 reads as 1970.
fn rfc3339(date: SystemTime) -> String {
    let since = date.duration_since(UNIX_EPOCH).unwrap_or_default();
    let (days, second) = (since.as_secs() / 86_400, since.as_secs() % 86_400);
    let (year, month, day) = civil(days);
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{:03}Z",
        second / 3600,
        second / 60 % 60,
        second % 60,
        since.subsec_millis()
    )
}

/// Year, month and day of a number of days since 1970, in the Gregorian calendar. Years are counted
/// from March, so that the leap day is the last of its year.
fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468; // since 0000-03-01
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let march_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    (era * 400 + year + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_399, "2000-02-28T23:59:59.000Z"),
            (951_782_400, "2000-02-29T00:00:00.000Z"),
            (1_709_251_199, "2024-02-29T23:59:59.000Z"),
            (1_735_689_600, "2025-01-01T00:00:00.000Z"),
            (4_107_542_400, "2100-03-01T00:00:00.000Z"),
        ] {
            assert_eq!(rfc3339(UNIX_EPOCH + Duration::from_secs(seconds)), text);
        }
        assert!(rfc3339(UNIX_EPOCH + Duration::from_millis(1_234)).ends_with("01.234Z"));
    }
}
