//! A worker's end of the record.

use std::rc::Rc;
use std::sync::Arc;

use tokio::sync::mpsc;

use super::collect::collector::{Interval, WorkerEnd};
use super::collect::failures::FailureLog;
use super::collect::finished::Opened;
use super::collect::labels::{LabelIds, Labels};
use super::collect::ledger::Ledger;
use super::collect::meters::{ConnectionGuard, UpstreamMeters};
use super::collect::outbox::OutboxSetup;
use super::collect::recordings::Recordings;
use super::collect::slots::Slots;
use super::outcome::{Handshake, Hangup, Shed};
use super::request::Record;
use crate::config::UpstreamId;

/// A worker's place at the hub, made on any thread; [`WorkerRecorder::start`] turns it into a
/// [`Recorder`] on the worker's own.
pub struct WorkerRecorder {
    pub(in crate::record) labels: Arc<Labels>,
    pub(in crate::record) link: WorkerEnd,
    pub(in crate::record) outbox: Option<OutboxSetup>,
    pub(in crate::record) failures: Arc<FailureLog>,
}

impl WorkerRecorder {
    /// Starts recording. Must run inside the worker's `LocalRuntime`, where it starts two local
    /// tasks that live as long as that runtime: one answers the hub, one flushes the access log.
    pub fn start(self) -> Recorder {
        let WorkerEnd { asks, answers, left_behind } = self.link;
        let outbox = self.outbox.map(OutboxSetup::start);
        let ledger =
            Rc::new(Ledger::new(self.labels.upstreams.len(), outbox, left_behind, self.failures));
        tokio::task::spawn_local(answer(Rc::clone(&ledger), asks, answers));
        if ledger.outbox.is_some() {
            tokio::task::spawn_local(flush(Rc::clone(&ledger)));
        }
        let label_ids = LabelIds {
            routes: self.labels.routes.ids().collect(),
            upstreams: self.labels.upstreams.ids().collect(),
            models: self.labels.models.ids().skip(1).collect(), // after the others'
        };
        let slots = Rc::new(Slots::new(&ledger, &label_ids));
        Recorder { ledger, slots }
    }
}

/// Each ask brings an empty set; the full one goes back. The answers' channel has room for the
/// only answer there can be, so sending fails only when the hub is gone. No await lies between the
/// swap and the sending: cancelling this task cannot lose a set.
async fn answer(
    ledger: Rc<Ledger>,
    mut asks: mpsc::Receiver<Box<Recordings>>,
    answers: mpsc::Sender<Interval>,
) {
    while let Some(empty) = asks.recv().await {
        let interval = Interval { recordings: ledger.swap(empty), gauges: ledger.gauges() };
        if answers.try_send(interval).is_err() {
            return;
        }
    }
}

async fn flush(ledger: Rc<Ledger>) {
    while let Some(outbox) = &ledger.outbox {
        outbox.rested().await;
        outbox.flush();
    }
}

/// A worker's recorder for one configuration: cheap to clone, of one thread.
#[derive(Clone)]
pub struct Recorder {
    ledger: Rc<Ledger>,
    slots: Rc<Slots>,
}

impl Recorder {
    /// Opens a request's record; it is closed when the last clone is dropped.
    pub fn open(&self, opened: Opened) -> Rc<Record> {
        Record::open(Rc::clone(&self.ledger), Rc::clone(&self.slots), opened)
    }

    /// There is an access log: what only it needs is worth looking up.
    pub fn is_logging(&self) -> bool {
        self.ledger.is_logging()
    }

    /// What a probe is stamped on; none of it is counted.
    pub fn probe(&self) -> Rc<Record> {
        Record::open_probe(Rc::clone(&self.ledger), Rc::clone(&self.slots))
    }

    /// The meters of one of the configuration's upstreams; one that it lacks gets meters that nobody
    /// reads.
    pub fn upstream(&self, id: UpstreamId) -> &UpstreamMeters {
        self.slots.meters(id)
    }

    /// The same worker's for another configuration, whose routes and upstreams are counted at `label_ids`.
    #[must_use]
    pub fn at(&self, label_ids: &LabelIds) -> Recorder {
        let slots = Rc::new(Slots::new(&self.ledger, label_ids));
        Recorder { ledger: Rc::clone(&self.ledger), slots }
    }

    /// From now on whatever ends without a word was cut by us, for `fault`: the worker leaves.
    pub fn cut_rest(&self, fault: &'static str) {
        self.ledger.cut_rest(fault);
    }

    /// A request, or a connection before it had one, was refused for want of room.
    pub fn shed(&self, why: Shed) {
        self.ledger.active.borrow_mut().sheds[why as usize] += 1;
    }

    /// We closed a client's connection.
    pub fn hung_up(&self, why: Hangup) {
        self.ledger.active.borrow_mut().hangups[why as usize] += 1;
    }

    /// A TLS handshake with a client is over.
    pub fn shook_hands(&self, became: Handshake) {
        self.ledger.active.borrow_mut().handshakes[became as usize] += 1;
    }

    /// Requests of this worker between their head and their end.
    pub fn in_flight(&self) -> usize {
        usize::try_from(self.ledger.in_flight.get()).unwrap_or(usize::MAX)
    }

    /// Accepting paused: the kernel had no descriptor or memory for one more connection.
    pub fn accept_paused(&self) {
        self.ledger.active.borrow_mut().accept_pauses += 1;
    }

    /// A panic was caught.
    pub fn panicked(&self) {
        self.ledger.active.borrow_mut().panics += 1;
    }

    /// Counts an open client connection until the guard is dropped.
    pub fn client_connection(&self) -> ConnectionGuard {
        self.ledger.clients.enter()
    }
}
