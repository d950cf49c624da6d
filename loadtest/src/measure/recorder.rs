//! What a worker notes on the data path, kept by interval and handed over whole: the loop never
//! merges, formats or writes.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::mpsc::{SyncSender, TrySendError};

use hdrhistogram::Histogram;

use crate::client::{Mono, Outcome, Watch};

use super::host::{ThreadTime, thread_time};

/// Significant decimal digits of the per-event histograms: half a microsecond at 10 ms, since what
/// a proxy adds to a gap is microseconds.
const EVENT_DIGITS: u8 = 4;
/// Significant decimal digits of the per-request histograms.
const REQUEST_DIGITS: u8 = 3;
/// Significant decimal digits where a chart is all that is drawn from it.
const COARSE_DIGITS: u8 = 2;

/// An empty histogram of nanoseconds for values that come with every event.
pub fn event_histogram() -> Histogram<u64> {
    histogram(EVENT_DIGITS)
}

/// An empty histogram of nanoseconds for values that come once a request.
pub fn request_histogram() -> Histogram<u64> {
    histogram(REQUEST_DIGITS)
}

/// An empty histogram of nanoseconds for charts.
pub(super) fn coarse_histogram() -> Histogram<u64> {
    histogram(COARSE_DIGITS)
}

#[expect(clippy::expect_used, reason = "the crate accepts 0 to 5 digits; the constants are within")]
fn histogram(digits: u8) -> Histogram<u64> {
    Histogram::new(digits).expect("a valid number of digits")
}

/// One finished request.
#[derive(Clone, Debug)]
pub struct Row {
    /// Its number in the run, from 0.
    pub id: u64,
    /// What became of it; headers dropped.
    pub outcome: Outcome,
}

/// What one worker noted from one moment to another, all of one target and slice.
#[derive(Debug)]
pub struct Interval {
    /// Which worker, from 0.
    pub worker: usize,
    /// Which target, by its place on the command line.
    pub target: usize,
    /// Which slice of the rotation; 0 in a plain run.
    pub slice: usize,
    /// When it began.
    pub begin: Mono,
    /// When it ended.
    pub end: Mono,
    /// Requests started and not ended, at its end.
    pub in_flight: u64,
    /// Requests started in it, warm-up included.
    pub started: u64,
    /// Events received in requests that ended in it, warm-up included.
    pub events: u64,
    /// What the target's process used, as far as it was charged for in it.
    pub process: ThreadTime,
    /// Gaps between events, in nanoseconds.
    pub gap: Histogram<u64>,
    /// One-way times of stamped frames, in nanoseconds.
    pub leg: Histogram<u64>,
    /// The client's own delays, in nanoseconds, with kernel stamps.
    pub wake: Histogram<u64>,
    /// Requests that ended in it, warm-up left out.
    pub rows: Vec<Row>,
    /// The worker's own time on the processor, and waiting for one.
    pub cpu: ThreadTime,
}

impl Interval {
    fn new(worker: usize, target: usize, slice: usize) -> Self {
        let now = Mono::now();
        Self {
            worker,
            target,
            slice,
            begin: now,
            end: now,
            in_flight: 0,
            started: 0,
            events: 0,
            process: ThreadTime::default(),
            gap: event_histogram(),
            leg: event_histogram(),
            wake: event_histogram(),
            rows: Vec::new(),
            cpu: ThreadTime::default(),
        }
    }
}

/// A worker's notebook. A clone writes in the same book; it never leaves its thread.
#[derive(Clone, Debug)]
pub struct Recorder(Rc<RefCell<Book>>);

#[derive(Debug)]
struct Book {
    interval: Interval,
    in_flight: u64,
    cpu: ThreadTime,
    totals: SyncSender<Interval>,
}

impl Recorder {
    /// A book of `worker` whose full pages go to `totals`.
    pub fn new(worker: usize, totals: SyncSender<Interval>) -> Self {
        let interval = Interval::new(worker, 0, 0);
        Self(Rc::new(RefCell::new(Book { interval, in_flight: 0, cpu: thread_time(), totals })))
    }

    /// Turns the page: what follows belongs to `target` and `slice`.
    pub fn open(&self, target: usize, slice: usize) {
        self.turn(Some((target, slice)));
    }

    /// Ends the present interval and hands it over. If whoever collects is behind, goes on in the same
    /// interval instead of waiting, unless `target` or slice change.
    pub fn turn(&self, next: Option<(usize, usize)>) {
        let mut book = self.0.borrow_mut();
        let cpu = thread_time();
        let (target, slice) = next.unwrap_or((book.interval.target, book.interval.slice));
        let fresh = Interval::new(book.interval.worker, target, slice);
        let mut full = std::mem::replace(&mut book.interval, fresh);
        full.end = book.interval.begin;
        full.in_flight = book.in_flight;
        full.cpu = cpu.since(book.cpu);
        let sent = if next.is_some() {
            book.totals.send(full).map_err(|error| TrySendError::Disconnected(error.0))
        } else {
            book.totals.try_send(full)
        };
        match sent {
            Ok(()) | Err(TrySendError::Disconnected(_)) => book.cpu = cpu,
            Err(TrySendError::Full(full)) => book.interval = full,
        }
    }

    /// Charges the present target for what its process used.
    pub fn charge(&self, used: ThreadTime) {
        let mut book = self.0.borrow_mut();
        book.interval.process = book.interval.process.plus(used);
    }

    /// A request starts.
    pub fn started(&self) {
        let mut book = self.0.borrow_mut();
        book.in_flight += 1;
        book.interval.started += 1;
    }

    /// A request ended; `counted` unless it belongs to the warm-up.
    pub fn ended(&self, id: u64, outcome: Outcome, counted: bool) {
        let mut book = self.0.borrow_mut();
        book.in_flight -= 1;
        book.interval.events += outcome.events;
        if counted {
            let (headers, trailers) = (http::HeaderMap::new(), None);
            book.interval.rows.push(Row { id, outcome: Outcome { headers, trailers, ..outcome } });
        }
    }

    /// What watches one request's stream.
    pub fn watch(&self, counted: bool) -> StreamWatch {
        StreamWatch { recorder: counted.then(|| self.clone()) }
    }
}

/// Notes gaps and one-way times of one stream; nothing during warm-up.
#[derive(Debug)]
pub struct StreamWatch {
    recorder: Option<Recorder>,
}

impl Watch for StreamWatch {
    fn gap(&mut self, _at: Mono, nanos: u64) {
        if let Some(recorder) = &self.recorder {
            // A histogram that resizes itself refuses no value of ours: at most a request's bound.
            let _ = recorder.0.borrow_mut().interval.gap.record(nanos);
        }
    }

    fn wake(&mut self, _at: Mono, nanos: u64) {
        if let Some(recorder) = &self.recorder {
            let _ = recorder.0.borrow_mut().interval.wake.record(nanos);
        }
    }

    fn leg(&mut self, _at: Mono, nanos: u64) {
        if let Some(recorder) = &self.recorder {
            let _ = recorder.0.borrow_mut().interval.leg.record(nanos);
        }
    }
}
