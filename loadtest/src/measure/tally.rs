//! The sums of a target's requests, kept in the totals off the data path.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;

use crate::client::{Check, FailureKind, Mono, Outcome, Stamps};

use super::goal::Goals;
use super::kinds::{Measure, tokens};
use super::recorder::{Interval, event_histogram, request_histogram};

/// Different failure texts kept per kind, so that a report can say what happened.
const DETAILS_MAX: usize = 3;

/// What a target's requests come to.
#[derive(Clone, Debug)]
pub struct Tally {
    histograms: Vec<Histogram<u64>>,
    /// Requests ended and counted.
    pub requests: u64,
    /// Of these, read slowly on purpose: in no latency, and never good.
    pub slow: u64,
    /// Of these, without failure.
    pub succeeded: u64,
    /// Of these, within every goal; all of them where no goal is set.
    pub good: u64,
    /// Failures by kind.
    pub failures: BTreeMap<FailureKind, u64>,
    /// Some failures in words.
    pub details: BTreeMap<FailureKind, Vec<String>>,
    /// Answers by status.
    pub statuses: BTreeMap<u16, u64>,
    /// Body bytes received.
    pub bytes: u64,
    /// Events received.
    pub events: u64,
    /// Tokens generated.
    pub tokens: u64,
    /// Answers whose bytes were compared with the mock's digest and are the same.
    pub verified: u64,
    /// Requests that had to open a connection.
    pub connects: u64,
    /// Time of the slices before the present one.
    closed: Span,
    present: Option<Slice>,
}

/// Time in which requests were counted, in nanoseconds, and between their starts.
#[derive(Clone, Copy, Debug, Default)]
struct Span {
    whole: u64,
    starts: u64,
    /// Gaps between starts: one less than there were requests.
    start_gaps: u64,
}

/// The slice being added up.
#[derive(Clone, Copy, Debug)]
struct Slice {
    number: usize,
    due: Mono,
    end: Mono,
    first_start: Mono,
    last_start: Mono,
    requests: u64,
}

impl Slice {
    fn of(number: usize, stamps: &Stamps) -> Self {
        let Stamps { due, started, end, .. } = *stamps;
        Self { number, due, end, first_start: started, last_start: started, requests: 1 }
    }

    fn stretch(&mut self, stamps: &Stamps) {
        self.due = self.due.min(stamps.due);
        self.end = self.end.max(stamps.end);
        self.first_start = self.first_start.min(stamps.started);
        self.last_start = self.last_start.max(stamps.started);
        self.requests += 1;
    }
}

impl Span {
    fn with(self, slice: Option<Slice>) -> Self {
        let Some(slice) = slice else { return self };
        Self {
            whole: self.whole + slice.end.since(slice.due),
            starts: self.starts + slice.last_start.since(slice.first_start),
            start_gaps: self.start_gaps + slice.requests - 1,
        }
    }
}

impl Default for Tally {
    fn default() -> Self {
        let histogram = |measure: Measure| {
            if measure.is_per_event() { event_histogram() } else { request_histogram() }
        };
        Self {
            histograms: Measure::ALL.into_iter().map(histogram).collect(),
            requests: 0,
            succeeded: 0,
            slow: 0,
            good: 0,
            failures: BTreeMap::new(),
            details: BTreeMap::new(),
            statuses: BTreeMap::new(),
            bytes: 0,
            events: 0,
            tokens: 0,
            verified: 0,
            connects: 0,
            closed: Span::default(),
            present: None,
        }
    }
}

impl Tally {
    /// Adds what a worker noted.
    pub fn add(&mut self, interval: &Interval, goals: &Goals) {
        for (measure, histogram) in [
            (Measure::Gap, &interval.gap),
            (Measure::LegDown, &interval.leg),
            (Measure::Wake, &interval.wake),
        ] {
            // Cannot fail: both resize themselves.
            let _ = self.histograms[measure as usize].add(histogram);
        }
        for row in &interval.rows {
            self.add_outcome(&row.outcome, goals);
            self.stretch(interval.slice, &row.outcome.stamps);
        }
    }

    /// The distribution of `measure`, in nanoseconds.
    pub fn histogram(&self, measure: Measure) -> &Histogram<u64> {
        &self.histograms[measure as usize]
    }

    /// Seconds in which requests were counted.
    pub fn seconds(&self) -> f64 {
        self.closed.with(self.present).whole as f64 / 1e9
    }

    /// Requests started per second, free of the time that the last ones took to end.
    pub fn started_rate(&self) -> f64 {
        let span = self.closed.with(self.present);
        if span.starts == 0 { 0.0 } else { span.start_gaps as f64 * 1e9 / span.starts as f64 }
    }

    /// `count` per second; 0 before anything was counted.
    pub fn per_second(&self, count: u64) -> f64 {
        let seconds = self.seconds();
        if seconds > 0.0 { count as f64 / seconds } else { 0.0 }
    }

    /// Requests that failed.
    pub fn failed(&self) -> u64 {
        self.requests - self.succeeded
    }

    fn add_outcome(&mut self, outcome: &Outcome, goals: &Goals) {
        self.requests += 1;
        self.bytes += outcome.bytes;
        self.events += outcome.events;
        self.tokens += tokens(outcome);
        self.slow += u64::from(outcome.slow);
        self.verified += u64::from(outcome.check == Check::Same);
        self.connects += u64::from(!outcome.warm());
        if let Some(status) = outcome.status {
            *self.statuses.entry(status).or_default() += 1;
        }
        match &outcome.failure {
            None => {
                self.succeeded += 1;
                self.good += u64::from(!outcome.slow && goals.met_by(outcome));
            }
            Some(failure) => {
                *self.failures.entry(failure.kind).or_default() += 1;
                let details = self.details.entry(failure.kind).or_default();
                if details.len() < DETAILS_MAX && !details.contains(&failure.detail) {
                    details.push(failure.detail.clone());
                }
            }
        }
        for measure in Measure::ALL {
            if let Some(value) = measure.of(outcome) {
                let _ = self.histograms[measure as usize].record(value);
            }
        }
    }

    /// Widens the present slice's span; slices of a target are apart from each other in time.
    fn stretch(&mut self, number: usize, stamps: &Stamps) {
        match &mut self.present {
            Some(slice) if slice.number == number => slice.stretch(stamps),
            earlier => {
                self.closed = self.closed.with(*earlier);
                *earlier = Some(Slice::of(number, stamps));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::recorder::Recorder;
    use super::*;
    use crate::client::{Failure, Watch};

    fn outcome(due: u64, head: u64, end: u64) -> Outcome {
        let stamps = Stamps {
            due: Mono(due),
            started: Mono(due),
            head: Some(Mono(head)),
            end: Mono(end),
            ..Stamps::default()
        };
        Outcome { stamps, status: Some(200), ..Outcome::default() }
    }

    #[test]
    fn notes_add_up_over_slices() {
        let (totals, notes) = std::sync::mpsc::sync_channel(8);
        let recorder = Recorder::new(0, totals);
        let failure = Some(Failure::new(FailureKind::Reset, "cut"));
        for (slice, begin) in [(0, 1_000_000_000), (1, 5_000_000_000)] {
            recorder.open(0, slice);
            for nth in 0..3 {
                let outcome = outcome(begin, begin + 100, begin + 1_000_000_000);
                recorder.started();
                recorder.watch(true).gap(Mono(1), 5);
                recorder.watch(false).gap(Mono(1), 5);
                let failure = failure.clone().filter(|_| nth == 0);
                recorder.ended(nth, Outcome { failure, ..outcome }, true);
            }
        }
        recorder.open(0, 0);
        drop(recorder);
        let mut tally = Tally::default();
        for page in notes {
            tally.add(&page, &Goals::default());
        }
        assert_eq!((tally.requests, tally.succeeded, tally.good), (6, 4, 4));
        assert_eq!(tally.failures[&FailureKind::Reset], 2);
        assert_eq!(tally.histogram(Measure::Ttfb).len(), 4);
        assert_eq!(tally.histogram(Measure::Gap).len(), 6);
        assert!((tally.seconds() - 2.0).abs() < 1e-9, "the pause between slices is no time");
        assert!((tally.per_second(tally.requests) - 3.0).abs() < 1e-9);
    }
}
