//! How much a worker may hold until the next look: a pure decision over what it holds and what looks allow.

use std::cell::Cell;

use crate::admit::memory::Look;

/// So much is held before anybody is ended for it, in each worker: memory that an allocator does not give
/// back would otherwise leave no room for good.
pub(super) const FREE: u64 = 512 * 1024;

/// Who is looked for holds at least this much more: a search for each frame would cost more than it frees.
pub(super) const STEP: u64 = 64 * 1024;

/// One worker's part of what looks allow, and what it holds.
pub(super) struct Allowance {
    workers: u64,
    held: Cell<u64>,
    limit: Cell<u64>,
    seen: Cell<Look>,
    /// Nobody was left to be ended.
    full: Cell<bool>,
}

impl Allowance {
    /// Holds nothing yet; of one of so many workers.
    pub(super) fn new(workers: usize) -> Self {
        Self {
            workers: workers.max(1) as u64,
            held: Cell::default(),
            limit: Cell::default(),
            seen: Cell::default(),
            full: Cell::default(),
        }
    }

    /// Bytes that are held.
    pub(super) fn held(&self) -> u64 {
        self.held.get()
    }

    /// This was the last look: a new one gives room anew.
    pub(super) fn look(&self, look: Look) {
        if look != self.seen.replace(look) {
            self.limit.set((self.held.get() + look.held() / self.workers).max(FREE));
            self.full.set(false);
        }
    }

    /// As much is held as the last look allowed, and by nobody who could be ended for it.
    pub(super) fn is_full(&self) -> bool {
        self.full.get()
    }

    /// Whether so many bytes more leave a quarter of the room. Always where nobody looks.
    pub(super) fn leaves_a_quarter(&self, bytes: usize) -> bool {
        !self.seen.get().is_one() || self.held.get() + bytes as u64 <= self.limit.get() / 4 * 3
    }

    /// So much of what is too much in all workers is too much here.
    pub(super) fn part_of(&self, bytes: u64) -> u64 {
        bytes.div_ceil(self.workers)
    }

    pub(super) fn add(&self, bytes: u64) {
        self.held.set(self.held.get() + bytes);
    }

    pub(super) fn sub(&self, bytes: u64) {
        self.held.set(self.held.get().saturating_sub(bytes));
    }

    /// By how much more is held than the last look allowed.
    pub(super) fn over(&self) -> Option<u64> {
        self.held.get().checked_sub(self.limit.get()).filter(|over| *over > 0)
    }

    /// Nobody gives any back: that is not to be found out for each frame.
    pub(super) fn fill(&self) {
        self.full.set(true);
        self.limit.set(self.held.get() + STEP);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_much_is_told_until_nobody_gives_any_back() {
        let allowance = Allowance::new(4);
        assert!(allowance.leaves_a_quarter(usize::MAX / 2), "nobody looks");
        allowance.look(Look::default().after(4 * STEP));
        allowance.look(Look::default().after(4 * STEP)); // the same look gives room once
        allowance.add(FREE);
        assert_eq!(allowance.over(), None, "so much is free");
        allowance.add(1);
        assert_eq!(allowance.over(), Some(1));
        allowance.fill();
        assert!(allowance.is_full() && allowance.over().is_none());
        allowance.sub(STEP);
        allowance.look(Look::default().after(0).after(4 * STEP));
        assert!(!allowance.is_full() && allowance.over().is_none());
    }
}
