//! One JSON object per request, as it ends.

use std::io::{self, Write};

use serde::Serialize;

use crate::client::{Check, FailureKind, Mono};
use crate::measure::{Interval, Row, tokens};

/// One request; moments are nanoseconds from when it was due, absent where they did not come.
#[derive(Debug, Serialize)]
struct Line<'a> {
    target: &'a str,
    slice: usize,
    id: u64,
    /// On `CLOCK_MONOTONIC`, in nanoseconds.
    due_ns: u64,
    lag_ns: u64,
    connected_ns: Option<u64>,
    sent_ns: Option<u64>,
    head_ns: Option<u64>,
    first_body_ns: Option<u64>,
    first_event_ns: Option<u64>,
    first_content_ns: Option<u64>,
    last_content_ns: Option<u64>,
    end_ns: u64,
    status: Option<u16>,
    bytes: u64,
    events: u64,
    tokens: u64,
    done: bool,
    slow: bool,
    verified: Option<bool>,
    failure: Option<&'static str>,
    detail: Option<&'a str>,
}

/// Writes the requests that ended in `interval`.
pub(super) fn write(interval: &Interval, target: &str, mut out: impl Write) -> io::Result<()> {
    for row in &interval.rows {
        serde_json::to_writer(&mut out, &line(row, target, interval.slice))?;
        out.write_all(b"\n")?;
    }
    Ok(())
}

fn line<'a>(row: &'a Row, target: &'a str, slice: usize) -> Line<'a> {
    let outcome = &row.outcome;
    let stamps = &outcome.stamps;
    let from_due = |at: Option<Mono>| at.map(|at| at.since(stamps.due));
    Line {
        target,
        slice,
        id: row.id,
        due_ns: stamps.due.0,
        lag_ns: stamps.started.since(stamps.due),
        connected_ns: from_due(stamps.connected),
        sent_ns: from_due(stamps.sent),
        head_ns: from_due(stamps.head),
        first_body_ns: from_due(stamps.first_body),
        first_event_ns: from_due(stamps.first_event),
        first_content_ns: from_due(stamps.first_content),
        last_content_ns: from_due(stamps.last_content),
        end_ns: stamps.end.since(stamps.due),
        status: outcome.status,
        bytes: outcome.bytes,
        events: outcome.events,
        tokens: tokens(outcome),
        done: outcome.done,
        slow: outcome.slow,
        verified: match outcome.check {
            Check::Unchecked => None,
            check => Some(check == Check::Same),
        },
        failure: outcome.failed().map(FailureKind::name),
        detail: outcome.failure.as_ref().map(|failure| failure.detail.as_str()),
    }
}
