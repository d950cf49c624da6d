//! What is said of an upstream's trouble, in step over all workers: each meets it by itself, and the log says
//! it once.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use crate::algo::telling::{Telling, Told};

/// Of one upstream, shared by all workers. Not of the data path: a lock that is held for some nanoseconds.
#[derive(Debug, Default)]
pub struct Outage {
    connects: Mutex<Telling>,
    ejections: Mutex<Ejections>,
}

#[derive(Debug, Default)]
struct Ejections {
    telling: Telling,
    /// Workers that leave it out now.
    workers: usize,
}

impl Outage {
    /// A connect failed; what to say.
    pub(in crate::upstream) fn connect_failed(&self, now: Instant) -> Option<Told> {
        self.connects.lock().unwrap_or_else(PoisonError::into_inner).failed(now)
    }

    /// A connect succeeded; what to say.
    pub(in crate::upstream) fn connected(&self, now: Instant) -> Option<Told> {
        self.connects.lock().unwrap_or_else(PoisonError::into_inner).works(now)
    }

    /// A worker leaves it out, and did not before; or, `again`, does so for longer. What to say, and how many
    /// workers do.
    pub(in crate::upstream) fn ejected(&self, again: bool, now: Instant) -> Option<(Told, usize)> {
        let mut ejections = self.ejections.lock().unwrap_or_else(PoisonError::into_inner);
        ejections.workers += usize::from(!again);
        Some((ejections.telling.failed(now)?, ejections.workers))
    }

    /// A worker leaves it out no longer. What to say, once none does.
    pub(in crate::upstream) fn returned(&self, now: Instant) -> Option<Told> {
        let mut ejections = self.ejections.lock().unwrap_or_else(PoisonError::into_inner);
        ejections.workers = ejections.workers.saturating_sub(1);
        if ejections.workers > 0 { None } else { ejections.telling.works(now) }
    }
}
