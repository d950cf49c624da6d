//! A limit on how many there are at once, which all workers share: a counting semaphore that nobody waits for.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A bound on something that all workers share. Clones share the count.
#[derive(Debug, Clone)]
pub struct Limit {
    taken: Arc<AtomicUsize>,
    most: usize,
}

/// Counts as one under a [`Limit`] for as long as it lives.
#[derive(Debug)]
pub struct LimitGuard(Arc<AtomicUsize>);

impl Limit {
    /// At most `most` at once.
    pub fn new(most: usize) -> Self {
        Self { taken: Arc::default(), most }
    }

    /// Another bound on the same things: what is taken counts under both.
    #[must_use]
    pub fn with(&self, most: usize) -> Self {
        Self { taken: Arc::clone(&self.taken), most }
    }

    /// A place, if one is free.
    pub fn enter(&self) -> Option<LimitGuard> {
        // The count alone is exchanged, no other memory: relaxed is enough.
        let before = self.taken.fetch_add(1, Ordering::Relaxed);
        let limit_guard = LimitGuard(Arc::clone(&self.taken));
        (before < self.most).then_some(limit_guard)
    }

    /// A place under a lower bound, if one is free, and how many are taken with it.
    pub(super) fn enter_below(&self, bound: usize) -> Option<(LimitGuard, usize)> {
        let before = self.taken.fetch_add(1, Ordering::Relaxed);
        let limit_guard = LimitGuard(Arc::clone(&self.taken));
        (before < bound.min(self.most)).then_some((limit_guard, before + 1))
    }

    /// The count itself, for who shows it.
    pub(super) fn count(&self) -> Arc<AtomicUsize> {
        Arc::clone(&self.taken)
    }

    /// No place is free.
    pub fn is_full(&self) -> bool {
        self.taken() >= self.most
    }

    /// Places that are taken. Those that are refused at this moment count for that moment.
    pub fn taken(&self) -> usize {
        self.taken.load(Ordering::Relaxed)
    }
}

impl Drop for LimitGuard {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_free_again_when_its_owner_lets_go() {
        let limit = Limit::new(1);
        let first = limit.enter();
        assert!(first.is_some());
        assert!(limit.enter().is_none(), "and the refusal takes no place");
        assert_eq!(limit.taken(), 1);
        drop(first);
        assert!(limit.enter().is_some());
    }

    #[test]
    fn what_was_taken_under_the_old_bound_counts_under_the_new_one() {
        let old = Limit::new(1);
        let _taken = old.enter();
        assert!(old.with(1).enter().is_none());
        assert!(old.with(2).enter().is_some());
    }

    #[test]
    fn clones_share_the_places() {
        let limit = Limit::new(1);
        let _first = limit.clone().enter();
        assert!(limit.enter().is_none());
    }
}
