//! A limit as those see it who keep it over a restart, and who share it with other processes. None of them is on the
//! path of a request.

use super::budget;
use super::limiter::{Limiter, Measure};

impl Limiter {
    /// What this process took since it was last asked, less what it gave back; `None` where nobody touched it.
    pub fn report(&self) -> Option<i64> {
        self.state().lease.report()
    }

    /// What this process took in a budget's last period since it was last asked.
    pub fn report_late(&self) -> i64 {
        self.state().lease.report_late()
    }

    /// It is about this time, in seconds of Unix time. The period of a budget that holds, by its first day; 0 of what has
    /// none.
    pub fn period(&self, unix: u64) -> u64 {
        self.begin(unix)
    }

    /// Somebody took of it, or tried to, since it was last asked; or requests in flight hold places of it, however they
    /// came by them.
    pub fn is_touched(&self) -> bool {
        let is_held = || matches!(self.measure(), Measure::Concurrent(_)) && self.in_flight() > 0;
        self.state().lease.is_touched() || is_held()
    }

    /// Seconds until its period is over; `None` of what has no period, or one that never ends.
    pub fn ends_in(&self, unix: u64) -> Option<u64> {
        let Measure::Budget(budget) = self.measure() else { return None };
        budget::ends_in(budget.per, unix)
    }

    /// The last report did not arrive.
    pub fn unreported(&self, pending: i64) {
        self.state().lease.unreported(pending);
    }

    /// So much is left for all processes, and so much of it is this one's until the next time.
    pub fn grant(&self, available: i64, room: i64) {
        self.state().lease.grant(available, room);
    }

    /// The same of a budget, if that is still the period.
    pub fn grant_in(&self, period: u64, available: i64, room: i64) {
        if self.state().lease.period() == period {
            self.grant(available, room);
        }
    }

    /// What this process may still take.
    pub fn room(&self) -> i64 {
        self.state().lease.room()
    }

    /// Requests of this process that are in flight under it.
    pub fn in_flight(&self) -> u64 {
        self.state().slots.taken() as u64
    }

    /// When its bucket is full again, in nanoseconds on the process's own clock; nothing of what has no bucket.
    pub fn full_at(&self) -> Option<u64> {
        matches!(self.measure(), Measure::Requests(_) | Measure::Tokens(_))
            .then(|| self.state().gcra.full_at())
    }

    /// As it was kept over a restart.
    pub fn restore_full_at(&self, nanos: u64) {
        self.state().gcra.restore(nanos);
    }

    /// What was spent of a budget, and in which period: days since 1970 of its first.
    pub fn spent(&self, unix: u64) -> Option<(u64, u64)> {
        let Measure::Budget(budget) = self.measure() else { return None };
        let period = budget::period(budget.per, unix);
        Some((self.state().spent.in_period(period), period))
    }

    /// Somebody else counts what is used of it: several processes share it.
    pub fn is_shared(&self) -> bool {
        self.sharing().is_some()
    }

    /// What was kept over a restart, or what another process spent.
    pub fn restore_spent(&self, spent: u64, period: u64, unix: u64) {
        if let Measure::Budget(budget) = self.measure() {
            self.state().spent.restore(spent, period, budget::period(budget.per, unix));
        }
    }
}
