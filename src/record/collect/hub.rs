//! Where the workers' recordings come together, off their threads.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant, SystemTime};
use std::{io, mem};

use tokio::sync::{Mutex as AsyncMutex, mpsc};
use tokio::time::timeout_at;

use super::ceilings::Ceilings;
use super::configured::Configured;
use super::dns::DnsMeters;
use super::labels::{Full, LabelId, LabelIds, Labels};
use super::ledger::LeftBehind;
use super::meters::Gauges;
use super::recordings::Recordings;
use crate::config::{AccessLog, UpstreamId};
use crate::record::export::log_writer::LogWriter;
use crate::record::export::{metrics, stats};
use crate::record::recorder::{Interval, WorkerRecorder};

/// How long one collection waits for the workers, all together.
const PATIENCE: Duration = Duration::from_secs(1);

/// What the hub needs to know.
#[derive(Debug, Clone)]
pub struct Setup {
    /// How many workers there are meant to be.
    pub workers: usize,
    /// The routes' names, in the configuration's order.
    pub routes: Vec<String>,
    /// The upstreams' names, in the configuration's order; distinct.
    pub upstreams: Vec<String>,
    /// Where the access log goes.
    pub access_log: AccessLog,
    /// For `build_info`.
    pub version: &'static str,
    /// For `build_info`.
    pub commit: &'static str,
}

/// Collects what the workers record, and shows it. Shared by the admin listener and whoever
/// starts workers.
pub struct Hub {
    pub(in crate::record) names: Arc<Labels>,
    pub(in crate::record) workers: usize,
    pub(in crate::record) version: &'static str,
    pub(in crate::record) commit: &'static str,
    pub(in crate::record) started: Instant,
    pub(in crate::record) started_at: SystemTime,
    pub(in crate::record) ceilings: Arc<Ceilings>,
    /// Seats given out since the last collection.
    newcomers: Mutex<Vec<WorkerLink>>,
    totals: AsyncMutex<Totals>,
    /// Since when the process leaves.
    draining_since: OnceLock<Instant>,
    left_behind: LeftBehind,
    log: Option<LogWriter>,
    pub(in crate::record) configured: Configured,
    pub(in crate::record) dns: Mutex<BTreeMap<LabelId, Arc<DnsMeters>>>,
}

/// The hub's end of one worker.
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
    lines: Vec<WorkerLink>,
    pub(in crate::record) recordings: Recordings,
    pub(in crate::record) gauges: Gauges,
    /// Workers that answered this time.
    pub(in crate::record) answered: usize,
    /// Numbers of those that did not.
    pub(in crate::record) silent: Vec<usize>,
    /// Times that a worker did not answer in time, or had ended.
    pub(in crate::record) missed: u64,
    pub(in crate::record) log_dropped: u64,
}

impl Hub {
    /// Opens the access log and starts its thread. Fails if the log's file cannot be opened.
    pub fn new(setup: Setup) -> io::Result<Hub> {
        let names = Arc::new(Labels::new(setup.routes, setup.upstreams));
        let recordings = Recordings::new(names.upstreams.len());
        Ok(Hub {
            log: LogWriter::start(&setup.access_log, Arc::clone(&names))?,
            names,
            workers: setup.workers,
            version: setup.version,
            commit: setup.commit,
            started: Instant::now(),
            started_at: SystemTime::now(),
            ceilings: Arc::default(),
            newcomers: Mutex::default(),
            totals: AsyncMutex::new(Totals {
                lines: Vec::new(),
                recordings,
                gauges: Gauges::default(),
                answered: 0,
                silent: Vec::new(),
                missed: 0,
                log_dropped: 0,
            }),
            draining_since: OnceLock::new(),
            left_behind: LeftBehind::default(),
            configured: Configured::default(),
            dns: Mutex::default(),
        })
    }

    /// What the process is bounded by, to be set by whoever bounds it.
    pub fn ceilings(&self) -> &Arc<Ceilings> {
        &self.ceilings
    }

    /// A recorder for the worker of this index, or for the one that takes an ended worker's place.
    pub fn worker(&self, index: usize) -> WorkerRecorder {
        // One ask and one answer at a time: see `WorkerLink::asked`.
        let (ask, asks) = mpsc::channel(1);
        let (answer, answers) = mpsc::channel(1);
        let line = WorkerLink {
            index,
            asks: ask,
            answers,
            asked: false,
            spare: None,
            gauges: Gauges::default(),
        };
        self.newcomers.lock().unwrap_or_else(PoisonError::into_inner).push(line);
        WorkerRecorder {
            names: Arc::clone(&self.names),
            asks,
            answers: answer,
            outbox: self.log.as_ref().and_then(LogWriter::outbox),
            left_behind: Arc::clone(&self.left_behind),
        }
    }

    /// The process leaves from now on; only the first call counts.
    pub fn drains(&self) {
        self.draining_since.get_or_init(Instant::now);
    }

    /// For how long the process has been leaving; `None` while it is not.
    pub fn drained_for(&self) -> Option<Duration> {
        self.draining_since.get().map(Instant::elapsed)
    }

    /// Where a new configuration's routes and upstreams are counted, in its order; what has a name that
    /// was here before goes on being counted with it.
    ///
    /// # Errors
    /// More names than one process can count.
    pub fn label_ids(&self, routes: &[&str], upstreams: &[&str]) -> Result<LabelIds, Full> {
        self.names.label_ids(routes, upstreams)
    }

    /// The process began with the configuration of this digest.
    pub fn config_begun(&self, digest: &str) {
        self.configured.begun(digest);
    }

    /// A reload put the configuration of this digest in force.
    pub fn config_applied(&self, digest: &str) {
        self.configured.applied(digest);
    }

    /// A reload left the old configuration in force.
    pub fn config_refused(&self) {
        self.configured.refused();
    }

    /// The meters of the name of a configuration's upstream.
    pub fn dns(&self, label_ids: &LabelIds, upstream: UpstreamId) -> Arc<DnsMeters> {
        let Some(label) = label_ids.upstreams.get(upstream.0) else { return Arc::default() };
        let mut dns = self.dns.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(dns.entry(*label).or_default())
    }

    /// All metrics in Prometheus' text format, version 0.0.4. Waits for the workers, at most a
    /// second. Dropping the future loses nothing.
    pub async fn metrics(&self) -> String {
        let mut totals = self.totals.lock().await;
        self.collect(&mut totals).await;
        metrics::render(self, &totals)
    }

    /// The same as JSON with exact quantiles.
    pub async fn stats(&self) -> String {
        let mut totals = self.totals.lock().await;
        self.collect(&mut totals).await;
        stats::render(self, &totals)
    }

    /// Waits until every access log line is written, at most `within`; says whether all were.
    /// Blocks: call it at the very end, when the workers' threads are gone.
    pub fn finish(&self, within: Duration) -> bool {
        self.log.as_ref().is_none_or(|log| log.finish(within))
    }

    /// Asks all workers, then waits for each. Cancelled at any await, it leaves the asks under
    /// way and their answers in the channels, where the next collection finds them.
    async fn collect(&self, totals: &mut Totals) {
        let Totals { lines, recordings, .. } = totals;
        recordings.grow(self.names.upstreams.len());
        lines.append(&mut self.newcomers.lock().unwrap_or_else(PoisonError::into_inner));
        for line in lines.iter_mut() {
            line.take_late_answer(recordings);
            line.ask(self.names.upstreams.len());
        }
        let deadline = tokio::time::Instant::now() + PATIENCE;
        totals.answered = 0;
        totals.silent.clear();
        for line in lines.iter_mut() {
            if let Ok(Some(interval)) = timeout_at(deadline, line.answers.recv()).await {
                line.take(interval, recordings);
                totals.answered += 1;
            } else {
                // Busy for all that time: its old gauges stand. Or its thread has ended, and what
                // it had is among what was left behind.
                totals.missed += 1;
                totals.silent.push(line.index);
            }
        }
        // After the awaits, so that a cancelled collection forgets no line.
        lines.retain(|line| !line.has_ended());
        let left = mem::take(&mut *self.left_behind.lock().unwrap_or_else(PoisonError::into_inner));
        for rest in &left {
            recordings.absorb(rest);
        }
        totals.gauges = Gauges::default();
        for line in lines.iter() {
            totals.gauges.absorb(&line.gauges);
        }
        totals.log_dropped = self.log.as_ref().map_or(0, LogWriter::dropped);
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
