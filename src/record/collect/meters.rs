//! Gauges of one worker: how many of something there are now.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use super::labels::LabelId;
use super::recordings::{Recordings, UpstreamRecordings};
use crate::record::outcome::{Ejection, Oversize, Silence};

/// What a worker records into; swapped whole when the hub asks. Borrowed only inside one call of
/// this room, never across an await.
pub(in crate::record) type Active = Rc<RefCell<Box<Recordings>>>;

/// A number of things that exist now, of one worker. Clones share the number.
#[derive(Debug, Clone, Default)]
pub struct Gauge(Rc<Cell<u64>>);

impl Gauge {
    /// Counts one more until the guard is dropped.
    #[must_use = "the thing is counted only as long as the guard lives"]
    pub fn enter(&self) -> GaugeGuard {
        self.0.set(self.0.get().saturating_add(1));
        GaugeGuard(self.clone())
    }

    /// Replaces the number, for an owner that counts by itself.
    pub fn set(&self, now: u64) {
        self.0.set(now);
    }

    /// Counts `now` instead of `before`, for one of several owners of the number.
    pub fn shift(&self, before: u64, now: u64) {
        self.0.set(self.get().saturating_sub(before).saturating_add(now));
    }

    /// The number now.
    pub fn get(&self) -> u64 {
        self.0.get()
    }
}

/// One thing counted by a [`Gauge`]; dropping it, also by cancellation or panic, counts one less.
#[derive(Debug)]
pub struct GaugeGuard(Gauge);

impl Drop for GaugeGuard {
    fn drop(&mut self) {
        self.0.0.set(self.0.get().saturating_sub(1));
    }
}

/// A client connection that is open.
pub type ConnectionGuard = GaugeGuard;

/// What a worker's pool toward one upstream shows.
pub struct UpstreamMeters {
    /// Connections on the way: TCP, TLS, SETTINGS.
    pub connecting: Gauge,
    /// Connections that take new streams.
    pub ready: Gauge,
    /// Connections that take new streams only where no other is open, since a PING is unanswered.
    pub suspect: Gauge,
    /// Connections that only finish what they carry.
    pub draining: Gauge,
    /// Streams leased and not yet given back.
    pub streams: Gauge,
    /// Requests that wait for a stream.
    pub waiting: Gauge,
    /// 1 while nothing of it answers this worker.
    pub silent: Gauge,
    /// 1 while this worker has no connection to it.
    pub unconnected: Gauge,
    /// 1 while this worker leaves it out of its groups.
    pub ejected: Gauge,
    label: LabelId,
    active: Active,
}

impl UpstreamMeters {
    pub(super) fn new(label: LabelId, active: Active) -> UpstreamMeters {
        UpstreamMeters {
            connecting: Gauge::default(),
            ready: Gauge::default(),
            suspect: Gauge::default(),
            draining: Gauge::default(),
            streams: Gauge::default(),
            waiting: Gauge::default(),
            silent: Gauge::default(),
            unconnected: Gauge::default(),
            ejected: Gauge::default(),
            label,
            active,
        }
    }

    /// Where it is counted.
    pub(super) fn label(&self) -> LabelId {
        self.label
    }

    /// A connect succeeded; `took` covers TCP to the peer's SETTINGS, and the addresses tried in vain.
    pub fn connected(&self, took: Duration) {
        self.active.borrow_mut().upstream(self.label, |upstream| upstream.connect.record(took));
    }

    /// A connect failed or ran out of time.
    pub fn connect_failed(&self) {
        self.active.borrow_mut().upstream(self.label, |upstream| upstream.connect_failures += 1);
    }

    /// It is left out from now on.
    pub fn ejected_for(&self, cause: Ejection) {
        self.ejected.set(1);
        let count = |upstream: &mut UpstreamRecordings| upstream.ejections[cause as usize] += 1;
        self.active.borrow_mut().upstream(self.label, count);
    }

    /// A connection fell silent, or what became of that.
    pub fn silence(&self, step: Silence) {
        let count = |upstream: &mut UpstreamRecordings| upstream.silences[step as usize] += 1;
        self.active.borrow_mut().upstream(self.label, count);
    }

    /// A connection was given up: frames without a purpose came without end.
    pub fn flooded(&self) {
        self.active.borrow_mut().upstream(self.label, |upstream| upstream.floods += 1);
    }

    /// A head or trailers too large for somebody.
    pub fn oversize(&self, what: Oversize) {
        let count = |upstream: &mut UpstreamRecordings| upstream.oversizes[what as usize] += 1;
        self.active.borrow_mut().upstream(self.label, count);
    }

    /// A probe came back.
    pub fn probed(&self, well: bool) {
        let count = |upstream: &mut UpstreamRecordings| upstream.probes[usize::from(well)] += 1;
        self.active.borrow_mut().upstream(self.label, count);
    }

    pub(in crate::record) fn read(&self) -> UpstreamGauges {
        UpstreamGauges {
            connecting: self.connecting.get(),
            ready: self.ready.get(),
            suspect: self.suspect.get(),
            draining: self.draining.get(),
            streams: self.streams.get(),
            waiting: self.waiting.get(),
            silent: self.silent.get(),
            unconnected: self.unconnected.get(),
            ejected: self.ejected.get(),
        }
    }
}

/// [`UpstreamMeters`] as numbers, to be sent to another thread.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::record) struct UpstreamGauges {
    pub(in crate::record) connecting: u64,
    pub(in crate::record) ready: u64,
    pub(in crate::record) suspect: u64,
    pub(in crate::record) draining: u64,
    pub(in crate::record) streams: u64,
    pub(in crate::record) waiting: u64,
    pub(in crate::record) silent: u64,
    pub(in crate::record) unconnected: u64,
    pub(in crate::record) ejected: u64,
}

/// All gauges of one worker, or their sum over workers.
#[derive(Debug, Clone, Default)]
pub(in crate::record) struct Gauges {
    pub(in crate::record) streams_in_flight: u64,
    pub(in crate::record) client_connections: u64,
    pub(in crate::record) upstreams: Vec<UpstreamGauges>,
}

impl Gauges {
    pub(super) fn absorb(&mut self, other: &Gauges) {
        self.streams_in_flight += other.streams_in_flight;
        self.client_connections += other.client_connections;
        if self.upstreams.len() < other.upstreams.len() {
            self.upstreams.resize(other.upstreams.len(), UpstreamGauges::default());
        }
        for (sum, more) in self.upstreams.iter_mut().zip(&other.upstreams) {
            sum.connecting += more.connecting;
            sum.ready += more.ready;
            sum.suspect += more.suspect;
            sum.draining += more.draining;
            sum.streams += more.streams;
            sum.waiting += more.waiting;
            sum.silent += more.silent;
            sum.unconnected += more.unconnected;
            sum.ejected += more.ejected;
        }
    }
}
