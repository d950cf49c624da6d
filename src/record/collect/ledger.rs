//! What one worker writes its records into.

use std::cell::{Cell, RefCell};
use std::mem;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use super::labels::LabelId;
use super::meters::{Active, Gauge, Gauges, UpstreamMeters};
use super::recordings::{Recordings, RequestKey};
use crate::record::export::access_log::{Entry, PATH_BYTES, cut};
use crate::record::export::log_writer::Outbox;
use crate::record::id::RequestIds;
use crate::record::outcome::Outcome;
use crate::record::request::Record;

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
    /// `None` where no access log is wanted: then no entry is made at all.
    pub(in crate::record) log: Option<Outbox>,
    left_behind: LeftBehind,
    /// Why we end what is still open ourselves, once we do.
    cutting: Cell<Option<&'static str>>,
}

impl Ledger {
    pub(in crate::record) fn new(
        upstreams: usize,
        log: Option<Outbox>,
        left_behind: LeftBehind,
    ) -> Ledger {
        let active: Active = Rc::new(RefCell::new(Box::new(Recordings::new(upstreams))));
        Ledger {
            upstreams: RefCell::default(),
            active,
            ids: RequestIds::new(),
            in_flight: Gauge::default(),
            clients: Gauge::default(),
            log,
            left_behind,
            cutting: Cell::new(None),
        }
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

    /// Counts a request that is over; called by its `Drop` only, hence once.
    pub(in crate::record) fn close(&self, record: &mut Record, now: Instant) {
        let (id, opened) = (record.id(), record.opened.at);
        let state = record.state.get_mut();
        let outcome = state.outcome.unwrap_or_else(|| match self.cutting.get() {
            Some(fault) => {
                self.active.borrow_mut().cut += 1;
                state.fault.get_or_insert(fault);
                Outcome::TimedOut
            }
            None => Outcome::ClientGone,
        });
        let duration = now.saturating_duration_since(opened);
        let mut active = self.active.borrow_mut();
        state.settle(&mut active);
        active.ends[outcome as usize] += 1;
        active.duration.record(duration);
        let key = RequestKey { route: state.route, upstream: state.upstream, code: state.status };
        *active.requests.entry(key).or_default() += 1;
        drop(active);
        let Some(log) = &self.log else { return };
        let mut path = mem::take(&mut record.opened.path);
        if path.len() > PATH_BYTES {
            // A new string, so that the long one's memory does not rest in the batch.
            path = Box::<str>::from(cut(&path, PATH_BYTES)).into_string();
        }
        log.push(Entry {
            opened,
            id,
            client: record.opened.client,
            version: record.opened.version,
            method: mem::take(&mut record.opened.method),
            path,
            route: state.route,
            upstream: state.upstream,
            upstream_version: state.upstream_version,
            upstream_request_id: state.upstream_request_id.take(),
            status: state.status,
            upstream_status: state.upstream_status,
            outcome,
            error: state.fault,
            cold: state.cold,
            replays: state.replays,
            left: mem::take(&mut state.left),
            retries: state.retries,
            retry_wait: state.retry_wait,
            prevented: state.prevented,
            hedge: state.hedge.take(),
            frames: state.frames,
            bytes_up: state.bytes_up,
            bytes_down: state.bytes_down,
            pool_wait: state.pool_wait,
            upstream_ttfb: state.upstream_ttfb,
            client_ttfb: state.client_ttfb,
            overhead_request: state.overhead_request,
            overhead_head: state.overhead_head,
            overhead_chunk_max: state.overhead_chunk_max,
            gap_upstream_max: state.gap_upstream_max,
            gap_client_max: state.gap_client_max,
            cancel_max: state.cancel_max,
            duration,
        });
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
