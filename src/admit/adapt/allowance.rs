//! How many requests an upstream says that it takes until its own limit is reset.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};

/// Shared by all workers. Instants are nanoseconds of the limiter's own clock.
#[derive(Debug, Default)]
pub(super) struct Allowance {
    left: AtomicI64,
    until: AtomicU64,
    /// Requests that were sent and not answered yet: what was said last may not count them.
    unanswered: AtomicI64,
}

impl Allowance {
    /// Takes one of those that are left, where they are counted; says whether they are.
    ///
    /// # Errors
    /// None is left: in so many nanoseconds there will be.
    pub(super) fn take(&self, now: u64) -> Result<bool, u64> {
        let until = self.until.load(Relaxed);
        if now >= until {
            return Ok(false);
        }
        if self.left.fetch_sub(1, Relaxed) > 0 {
            return Ok(true);
        }
        self.left.fetch_add(1, Relaxed);
        Err(until - now)
    }

    /// What was taken was not sent.
    pub(super) fn give_back(&self) {
        self.left.fetch_add(1, Relaxed);
    }

    /// One was sent.
    pub(super) fn sent(&self) {
        self.unanswered.fetch_add(1, Relaxed);
    }

    /// It was answered, or given up.
    pub(super) fn answered(&self) {
        self.unanswered.fetch_sub(1, Relaxed);
    }

    /// So many are left until then, less those under way. Whether none is, where some were before.
    pub(super) fn set(&self, left: u64, until: u64, now: u64) -> bool {
        let was_open = now >= self.until.load(Relaxed) || self.left.load(Relaxed) > 0;
        let left =
            i64::try_from(left).unwrap_or(i64::MAX).saturating_sub(self.unanswered.load(Relaxed));
        self.left.store(left, Relaxed);
        self.until.store(until, Relaxed);
        was_open && left <= 0
    }

    /// For how many nanoseconds no request may be sent.
    pub(super) fn shut_for(&self, now: u64) -> Option<u64> {
        let until = self.until.load(Relaxed);
        (now < until && self.left.load(Relaxed) <= 0).then(|| until - now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_are_sent_as_are_left_and_then_none_until_the_reset() {
        let allowance = Allowance::default();
        assert_eq!(allowance.take(5), Ok(false), "nothing is known");
        assert!(!allowance.set(2, 100, 5));
        assert_eq!((allowance.take(6), allowance.take(6)), (Ok(true), Ok(true)));
        assert_eq!(allowance.take(7), Err(93));
        assert_eq!(allowance.shut_for(7), Some(93));
        allowance.give_back();
        assert_eq!(allowance.take(8), Ok(true));
        assert_eq!((allowance.take(100), allowance.shut_for(100)), (Ok(false), None));
    }

    #[test]
    fn what_is_under_way_counts_as_sent() {
        let allowance = Allowance::default();
        (0..3).for_each(|_| allowance.sent());
        assert!(allowance.set(3, 100, 0), "all of them are spoken for");
        assert!(!allowance.set(3, 100, 0), "and that is no news");
        (0..2).for_each(|_| allowance.answered());
        assert!(!allowance.set(3, 100, 0));
        assert_eq!((allowance.take(1), allowance.take(1)), (Ok(true), Ok(true)));
        assert_eq!(allowance.take(1), Err(99));
    }
}
