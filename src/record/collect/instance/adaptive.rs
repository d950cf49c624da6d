//! Limits that move, as they are now. Set where they are decided, shown with the metrics.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::record::outcome::Lowered;

/// The name of a route or an upstream, and its limit.
pub type AdaptiveShown = (String, Arc<LimitMeters>);

/// What is shown of one limit.
#[derive(Debug)]
pub struct LimitMeters {
    bound: AtomicUsize,
    in_flight: Arc<AtomicUsize>,
    lowered: [AtomicU64; Lowered::ALL.len()],
}

/// Those of the configuration in force.
#[derive(Default)]
pub(in crate::record) struct Adaptives(Mutex<(Vec<AdaptiveShown>, Vec<AdaptiveShown>)>);

impl LimitMeters {
    /// Of a limit whose places are counted there.
    pub fn new(in_flight: Arc<AtomicUsize>) -> Arc<Self> {
        Arc::new(Self { bound: AtomicUsize::new(0), in_flight, lowered: Default::default() })
    }

    /// So many may be in flight from now on.
    pub fn set_bound(&self, bound: usize) {
        self.bound.store(bound, Relaxed);
    }

    /// It was lowered.
    pub fn lowered(&self, why: Lowered) {
        self.lowered[why as usize].fetch_add(1, Relaxed);
    }

    /// So many may be in flight.
    pub fn bound(&self) -> usize {
        self.bound.load(Relaxed)
    }

    /// So many are.
    pub fn in_flight(&self) -> usize {
        self.in_flight.load(Relaxed)
    }

    /// How often it was lowered.
    pub fn count(&self, why: Lowered) -> u64 {
        self.lowered[why as usize].load(Relaxed)
    }
}

impl Adaptives {
    /// These and no others: of routes, and of upstreams.
    pub(in crate::record) fn set(&self, all: (Vec<AdaptiveShown>, Vec<AdaptiveShown>)) {
        *self.all() = all;
    }

    /// Each with the label that its name belongs to.
    pub(in crate::record) fn each(&self) -> Vec<(&'static str, String, Arc<LimitMeters>)> {
        let (routes, upstreams) = &*self.all();
        let labelled = |label, all: &[AdaptiveShown]| {
            let one = |(name, meters): &AdaptiveShown| (label, name.clone(), Arc::clone(meters));
            all.iter().map(one).collect::<Vec<_>>()
        };
        [labelled("route", routes), labelled("upstream", upstreams)].concat()
    }

    fn all(&self) -> MutexGuard<'_, (Vec<AdaptiveShown>, Vec<AdaptiveShown>)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
