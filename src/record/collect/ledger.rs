//! What one worker writes its records into.

use std::cell::{Cell, RefCell};
use std::mem;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::failures::FailureLog;
use super::finished::Finished;
use super::labels::LabelId;
use super::meters::{Active, Gauge, Gauges, UpstreamMeters};
use super::outbox::Outbox;
use super::recordings::{ModelKey, Recordings, RequestKey};
use crate::record::id::RequestIds;
use crate::record::outcome::Outcome;

/// Where a worker that ends leaves what the hub has not asked for yet.
pub(in crate::record) type LeftBehind = Arc<Mutex<Vec<Recordings>>>;

/// A worker's own books; shared by its recorder, its records and its local tasks.
pub(in crate::record) struct Ledger {
    pub(in crate::record) active: Active,
    pub(in crate::record) ids: RequestIds,
    pub(in crate::record) in_flight: Gauge,
    pub(in crate::record) clients: Gauge,
    /// By [`LabelId`]; those of upstreams that a reload took away stay, for what still runs there.
    upstreams: RefCell<Vec<Rc<UpstreamMeters>>>,
    /// `None` where no access log is wanted: then nothing is kept of a request that is over.
    pub(in crate::record) outbox: Option<Outbox>,
    left_behind: LeftBehind,
    pub(in crate::record) failures: Arc<FailureLog>,
    /// Why we end what is still open ourselves, once we do.
    cutting: Cell<Option<&'static str>>,
}

impl Ledger {
    pub(in crate::record) fn new(
        upstreams: usize,
        outbox: Option<Outbox>,
        left_behind: LeftBehind,
        failures: Arc<FailureLog>,
    ) -> Ledger {
        let active: Active = Rc::new(RefCell::new(Box::new(Recordings::new(upstreams))));
        Ledger {
            upstreams: RefCell::default(),
            active,
            ids: RequestIds::new(),
            in_flight: Gauge::default(),
            clients: Gauge::default(),
            outbox,
            left_behind,
            failures,
            cutting: Cell::new(None),
        }
    }

    /// What is over is told to the access log.
    pub(in crate::record) fn is_logging(&self) -> bool {
        self.outbox.is_some()
    }

    /// From now on a record that nobody ended was cut by us, for `fault`.
    pub(in crate::record) fn cut_rest(&self, fault: &'static str) {
        self.cutting.set(Some(fault));
    }

    /// Puts an empty set in place and gives the one that was filled: two pointers change hands,
    /// however much was recorded.
    pub(in crate::record) fn swap(&self, empty: Box<Recordings>) -> Box<Recordings> {
        let mut empty = empty;
        empty.grow(self.upstreams.borrow().len());
        mem::replace(&mut *self.active.borrow_mut(), empty)
    }

    pub(in crate::record) fn gauges(&self) -> Gauges {
        Gauges {
            streams_in_flight: self.in_flight.get(),
            client_connections: self.clients.get(),
            upstreams: self.upstreams.borrow().iter().map(|meters| meters.read()).collect(),
        }
    }

    /// The meters of a label that the hub gave.
    pub(super) fn meters(&self, label: LabelId) -> Rc<UpstreamMeters> {
        let mut upstreams = self.upstreams.borrow_mut();
        while upstreams.len() <= label.index() {
            let next = LabelId(upstreams.len());
            upstreams.push(Rc::new(UpstreamMeters::new(next, Rc::clone(&self.active))));
        }
        self.active.borrow_mut().grow(upstreams.len());
        Rc::clone(&upstreams[label.index()])
    }

    /// Meters that nobody reads.
    pub(super) fn lacking(&self) -> Rc<UpstreamMeters> {
        Rc::new(UpstreamMeters::new(LabelId::NOWHERE, Rc::clone(&self.active)))
    }

    /// How a request ended of which nobody said so, and the fault, where it has one: its client left, unless
    /// we cut it ourselves.
    pub(in crate::record) fn untold_end(&self) -> (Outcome, Option<&'static str>) {
        let Some(fault) = self.cutting.get() else { return (Outcome::ClientGone, None) };
        self.active.borrow_mut().cut += 1;
        (Outcome::TimedOut, Some(fault))
    }

    /// Counts a request that is over and hands it to the exporters; called by its record's `Drop` only,
    /// hence once. `finished` is made only where there is an exporter: it is half a kilobyte to be moved.
    pub(in crate::record) fn close(
        &self,
        key: RequestKey,
        model: Option<LabelId>,
        duration: Duration,
        finished: impl FnOnce() -> Finished,
    ) {
        let mut active = self.active.borrow_mut();
        active.duration.record(duration);
        *active.requests.entry(key).or_default() += 1;
        if let Some(model) = model {
            let key = ModelKey { route: key.route, model, code: key.code };
            *active.models.entry(key).or_default() += 1;
        }
        drop(active);
        if let Some(outbox) = &self.outbox {
            let mut finished = finished();
            finished.shorten();
            outbox.push(finished);
        }
    }
}

impl Drop for Ledger {
    /// The worker has ended: what is recorded since the last collection is left for the hub. The
    /// outbox flushes itself.
    fn drop(&mut self) {
        let rest = mem::take(&mut **self.active.borrow_mut());
        self.left_behind.lock().unwrap_or_else(PoisonError::into_inner).push(rest);
    }
}
