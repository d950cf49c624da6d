//! What the workers recorded, brought together off their threads.

use std::mem;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Mutex as AsyncMutex, MutexGuard, mpsc};
use tokio::time::timeout_at;

use super::labels::Labels;
use super::ledger::LeftBehind;
use super::meters::Gauges;
use super::recordings::Recordings;

/// How long one collection waits for the workers, all together.
const PATIENCE: Duration = Duration::from_secs(1);

/// Asks the workers for what they recorded, and adds it up.
pub(in crate::record) struct Collector {
    labels: Arc<Labels>,
    /// Links made since the last collection.
    newcomers: Mutex<Vec<WorkerLink>>,
    totals: AsyncMutex<Totals>,
    left_behind: LeftBehind,
}

/// A worker's end of its link.
pub(in crate::record) struct WorkerEnd {
    /// Each ask brings an empty set, for the full one.
    pub(in crate::record) asks: mpsc::Receiver<Box<Recordings>>,
    pub(in crate::record) answers: mpsc::Sender<Interval>,
    pub(in crate::record) left_behind: LeftBehind,
}

/// What a worker answers when it is asked.
pub(in crate::record) struct Interval {
    /// All since the last answer.
    pub(in crate::record) recordings: Box<Recordings>,
    pub(in crate::record) gauges: Gauges,
}

/// The collector's end of one worker's link.
struct WorkerLink {
    /// The worker's number, for people.
    index: usize,
    asks: mpsc::Sender<Box<Recordings>>,
    answers: mpsc::Receiver<Interval>,
    /// An ask is under way. A collection that was given up leaves its answer in the channel for
    /// the next one: nothing is lost by a scraper that leaves.
    asked: bool,
    /// Emptied, ready for the next ask.
    spare: Option<Box<Recordings>>,
    /// As of the last answer.
    gauges: Gauges,
}

/// Everything since the start.
pub(in crate::record) struct Totals {
    links: Vec<WorkerLink>,
    pub(in crate::record) recordings: Recordings,
    pub(in crate::record) gauges: Gauges,
    /// Workers that answered this time.
    pub(in crate::record) answered: usize,
    /// Numbers of those that did not.
    pub(in crate::record) silent: Vec<usize>,
    /// Times that a worker did not answer in time, or had ended.
    pub(in crate::record) missed: u64,
}

impl Collector {
    pub(in crate::record) fn new(labels: Arc<Labels>) -> Collector {
        let totals = Totals {
            links: Vec::new(),
            recordings: Recordings::new(labels.upstreams.len()),
            gauges: Gauges::default(),
            answered: 0,
            silent: Vec::new(),
            missed: 0,
        };
        Collector {
            labels,
            newcomers: Mutex::default(),
            totals: AsyncMutex::new(totals),
            left_behind: LeftBehind::default(),
        }
    }

    /// A link to the worker of this index, or to the one that takes an ended worker's place.
    pub(in crate::record) fn link(&self, index: usize) -> WorkerEnd {
        // One ask and one answer at a time: see `WorkerLink::asked`.
        let (ask, asks) = mpsc::channel(1);
        let (answer, answers) = mpsc::channel(1);
        let link = WorkerLink {
            index,
            asks: ask,
            answers,
            asked: false,
            spare: None,
            gauges: Gauges::default(),
        };
        self.newcomers.lock().unwrap_or_else(PoisonError::into_inner).push(link);
        WorkerEnd { asks, answers: answer, left_behind: Arc::clone(&self.left_behind) }
    }

    /// Asks all workers, then waits for each. Cancelled at any await, it leaves the asks under
    /// way and their answers in the channels, where the next collection finds them.
    pub(in crate::record) async fn collect(&self) -> MutexGuard<'_, Totals> {
        let mut guard = self.totals.lock().await;
        let totals = &mut *guard;
        let Totals { links, recordings, .. } = totals;
        let upstreams = self.labels.upstreams.len();
        recordings.grow(upstreams);
        links.append(&mut self.newcomers.lock().unwrap_or_else(PoisonError::into_inner));
        for link in links.iter_mut() {
            link.take_late_answer(recordings);
            link.ask(upstreams);
        }
        let deadline = tokio::time::Instant::now() + PATIENCE;
        totals.answered = 0;
        totals.silent.clear();
        for link in links.iter_mut() {
            if let Ok(Some(interval)) = timeout_at(deadline, link.answers.recv()).await {
                link.take(interval, recordings);
                totals.answered += 1;
            } else {
                // Busy for all that time: its old gauges stand. Or its thread has ended, and what
                // it had is among what was left behind.
                totals.missed += 1;
                totals.silent.push(link.index);
            }
        }
        // After the awaits, so that a cancelled collection forgets no link.
        links.retain(|link| !link.has_ended());
        let left = mem::take(&mut *self.left_behind.lock().unwrap_or_else(PoisonError::into_inner));
        for rest in &left {
            recordings.absorb(rest);
        }
        totals.gauges = Gauges::default();
        for link in links.iter() {
            totals.gauges.absorb(&link.gauges);
        }
        guard
    }
}

impl WorkerLink {
    /// Sends an ask unless one is under way. A closed channel shows when the answer is awaited.
    fn ask(&mut self, upstreams: usize) {
        if !self.asked {
            let empty = self.spare.take().unwrap_or_else(|| Box::new(Recordings::new(upstreams)));
            self.asked = self.asks.try_send(empty).is_ok();
        }
    }

    /// Nothing can come from it any more. In this order: a last answer is sent before the close.
    fn has_ended(&self) -> bool {
        self.answers.is_closed() && self.answers.is_empty()
    }

    /// An answer that came after its collection had given up.
    fn take_late_answer(&mut self, totals: &mut Recordings) {
        if let Ok(interval) = self.answers.try_recv() {
            self.take(interval, totals);
        }
    }

    fn take(&mut self, interval: Interval, totals: &mut Recordings) {
        let Interval { mut recordings, gauges } = interval;
        totals.absorb(&recordings);
        recordings.clear();
        self.spare = Some(recordings);
        self.gauges = gauges;
        self.asked = false;
    }
}
