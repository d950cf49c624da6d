//! What of a limit this process may use where several processes share it.
//!
//! What is left of the limit, over all of them, is known elsewhere. From time to time each process says there what it
//! took, and is granted a part of what is left: its room until the next time. What is taken comes out of the room at
//! once, without asking anybody; so together they take too much by no more than their rooms.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU8, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, PoisonError, RwLock};

use tokio::sync::Notify;

use super::remote::{Remote, Standing};

/// How this process stands with the others: one for all limiters.
#[derive(Debug, Default)]
pub struct Sharing {
    standing: AtomicU8,
    instances: AtomicU32,
    /// Somebody was told to hurry, and did not come yet.
    hurried: AtomicBool,
    hurry: Notify,
    /// There is somebody who decides each request.
    exact: AtomicBool,
    remote: RwLock<Option<Arc<dyn Remote>>>,
}

/// Of one limiter.
#[derive(Debug, Default)]
pub(super) struct Lease {
    room: AtomicI64,
    /// Taken less what was given back, since it was last told.
    pending: AtomicI64,
    /// Of all processes together, when that was last told.
    available: AtomicI64,
    /// The room that was granted last.
    granted: AtomicI64,
    /// Of a budget: the period that all of this is of, and what was taken in the one before it and is not told yet.
    period: AtomicU64,
    late: AtomicI64,
    touched: AtomicBool,
}

impl Sharing {
    /// Known to nobody yet: as if there were nobody else.
    pub fn new() -> Self {
        let sharing = Self::default();
        sharing.set(Standing::Local, 1);
        sharing
    }

    /// How it stands, and with how many processes, this one included.
    pub fn set(&self, standing: Standing, instances: u32) {
        self.instances.store(instances.max(1), Relaxed);
        self.standing.store(standing as u8, Relaxed);
    }

    /// As it was set.
    pub fn standing(&self) -> Standing {
        match self.standing.load(Relaxed) {
            0 => Standing::Leased,
            2 => Standing::Deny,
            3 => Standing::Allow,
            _ => Standing::Local,
        }
    }

    /// A limiter has used up half of its room. Costs a wake of another thread, once until that comes.
    pub(super) fn hurry(&self) {
        if !self.hurried.load(Relaxed) && !self.hurried.swap(true, Relaxed) {
            self.hurry.notify_one();
        }
    }

    /// Waits until some limiter has used up half of its room. Dropped, nothing is lost.
    pub async fn hurried(&self) {
        self.hurry.notified().await;
        self.hurried.store(false, Relaxed);
    }

    /// From now on `remote` decides each request, or nobody does.
    pub fn decided_by(&self, remote: Option<Arc<dyn Remote>>) {
        self.exact.store(remote.is_some(), Relaxed);
        *self.remote.write().unwrap_or_else(PoisonError::into_inner) = remote;
    }

    /// Who decides, where somebody does and can be asked.
    pub(in crate::admit) fn remote(&self) -> Option<Arc<dyn Remote>> {
        if !self.exact.load(Relaxed) || self.standing() != Standing::Leased {
            return None;
        }
        self.remote.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// As it was set; at least 1.
    pub fn instances(&self) -> u64 {
        u64::from(self.instances.load(Relaxed)).max(1)
    }
}

impl Lease {
    /// Nothing was granted yet: a small part of the limit, which the first request needs not ask for.
    pub(super) fn new(most: u64) -> Self {
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        let lease = Self::default();
        lease.room.store((most / 8).max(1), Relaxed);
        lease.granted.store((most / 8).max(1), Relaxed);
        lease.available.store(most, Relaxed);
        lease
    }

    /// A budget's period has begun: nothing is known of it, as at the start, and what was taken is of the last one. A
    /// clock that is set back begins none. The period that holds.
    pub(super) fn begin(&self, period: u64, most: u64) -> u64 {
        let known = self.period.load(Relaxed);
        if period <= known {
            return known;
        }
        if self.period.compare_exchange(known, period, Relaxed, Relaxed).is_ok() {
            self.late.fetch_add(self.pending.swap(0, Relaxed), Relaxed);
            let most = i64::try_from(most).unwrap_or(i64::MAX);
            self.grant(most, (most / 8).max(1));
        }
        period
    }

    /// The period that was begun last.
    pub(super) fn period(&self) -> u64 {
        self.period.load(Relaxed)
    }

    /// What was taken in the last period since the last time.
    pub(super) fn report_late(&self) -> i64 {
        if self.late.load(Relaxed) == 0 { 0 } else { self.late.swap(0, Relaxed) }
    }

    /// Takes `units` if there is room for `needed` of them.
    pub(super) fn take(&self, units: u64, needed: u64) -> bool {
        self.touched.store(true, Relaxed);
        let (units, needed) = (signed(units), signed(needed));
        if self.room.fetch_sub(units, Relaxed) < needed {
            self.room.fetch_add(units, Relaxed);
            return false;
        }
        self.pending.fetch_add(units, Relaxed);
        true
    }

    /// Takes what is owed, or gives back where it is less than nothing.
    pub(super) fn charge(&self, units: i64) {
        self.touched.store(true, Relaxed);
        self.room.fetch_sub(units, Relaxed);
        self.pending.fetch_add(units, Relaxed);
    }

    pub(super) fn available(&self) -> i64 {
        self.available.load(Relaxed) - self.pending.load(Relaxed)
    }

    /// Less than half of what was granted is left.
    pub(super) fn is_low(&self) -> bool {
        self.room.load(Relaxed) <= self.granted.load(Relaxed) / 2
    }

    /// Something of it changed that is counted elsewhere.
    pub(super) fn touch(&self) {
        self.touched.store(true, Relaxed);
    }

    pub(super) fn is_touched(&self) -> bool {
        self.touched.load(Relaxed)
    }

    pub(super) fn room(&self) -> i64 {
        self.room.load(Relaxed)
    }

    /// What was taken since the last time; `None` where nobody touched it.
    pub(super) fn report(&self) -> Option<i64> {
        // Most are not: their words stay in the caches of the workers.
        let touched = self.touched.load(Relaxed) && self.touched.swap(false, Relaxed);
        touched.then(|| self.pending.swap(0, Relaxed))
    }

    /// What was reported did not arrive: it is to be reported again.
    pub(super) fn unreported(&self, pending: i64) {
        self.touched.store(true, Relaxed);
        self.pending.fetch_add(pending, Relaxed);
    }

    /// So much is left for all of them; what was taken since the report comes out of the room at once.
    pub(super) fn grant(&self, available: i64, room: i64) {
        self.available.store(available, Relaxed);
        self.granted.store(room, Relaxed);
        self.room.store(room - self.pending.load(Relaxed), Relaxed);
    }
}

fn signed(units: u64) -> i64 {
    i64::try_from(units).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_comes_out_of_the_room_and_is_reported_once() {
        let lease = Lease::new(80);
        assert!((0..10).all(|_| lease.take(1, 1)));
        assert!(!lease.take(1, 1), "an eighth");
        assert_eq!(lease.report(), Some(10));
        lease.grant(70, 20);
        assert!((0..20).all(|_| lease.take(1, 1)));
        assert!(!lease.take(1, 1));
        assert_eq!((lease.available(), lease.report()), (50, Some(20)));
        assert_eq!(lease.report(), None);
    }

    #[test]
    fn what_is_taken_while_a_grant_is_under_way_is_not_granted_twice() {
        let lease = Lease::new(80);
        let reported = lease.report();
        assert!(reported.is_none() && lease.take(4, 1));
        lease.grant(80, 10);
        assert_eq!(lease.room(), 6);
    }

    #[test]
    fn a_new_period_begins_with_a_small_part_and_leaves_what_was_taken_to_the_last_one() {
        let lease = Lease::new(80);
        assert_eq!(lease.begin(7, 80), 7);
        assert!(lease.take(10, 1) && !lease.take(1, 1));
        assert_eq!(lease.begin(8, 80), 8);
        assert!(lease.take(4, 1), "what was used in the last one is of no concern");
        assert_eq!((lease.report_late(), lease.report(), lease.available()), (10, Some(4), 80));
        assert_eq!(lease.begin(7, 80), 8, "a clock that is set back begins no period anew");
        assert_eq!((lease.report_late(), lease.room()), (0, 6));
    }

    #[test]
    fn a_report_that_was_lost_is_made_again() {
        let lease = Lease::new(80);
        assert!(lease.take(3, 1));
        let lost = lease.report().unwrap();
        lease.unreported(lost);
        assert_eq!(lease.report(), Some(3));
    }
}
