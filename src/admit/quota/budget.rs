//! A budget: what was spent in this period of the calendar, and what requests in flight have reserved of it.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::algo::calendar::{DAY, Date};
use crate::config::Period;

/// Three words, each exchanged by itself.
#[derive(Debug, Default)]
pub(super) struct Spent {
    /// In the period; the beginning of that one.
    amount: AtomicU64,
    period: AtomicU64,
    /// By requests in flight. It outlives the period that they began in: they settle in the one that they end in.
    reserved: AtomicU64,
}

/// Which period this moment is in: days since 1970 of its first day; 0 for the one that never ends.
pub(super) fn period(per: Period, unix: u64) -> u64 {
    let days = unix / DAY;
    match per {
        Period::Day => days,
        Period::Month => Date { day: 1, ..Date::of(days) }.days(),
        Period::Total => 0,
    }
}

/// Seconds until the period is over; `None` where it never is.
pub(super) fn ends_in(per: Period, unix: u64) -> Option<u64> {
    let days = unix / DAY;
    let next = match per {
        Period::Day => days + 1,
        Period::Month => {
            let Date { year, month, .. } = Date::of(days);
            let (year, month) = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
            Date { year, month, day: 1 }.days()
        }
        Period::Total => return None,
    };
    Some(next * DAY - unix)
}

impl Spent {
    /// Reserves, if anything is left of `most` beside what is reserved already.
    pub(super) fn reserve(&self, amount: u64, most: u64, period: u64) -> bool {
        let spent = self.in_period(period);
        let before = self.reserved.fetch_add(amount, Relaxed);
        let fits = spent.saturating_add(before) < most;
        if !fits {
            self.release(amount);
        }
        fits
    }

    /// Gives back what was reserved.
    pub(super) fn release(&self, amount: u64) {
        self.reserved.fetch_sub(amount, Relaxed);
    }

    /// Charges what was used.
    pub(super) fn spend(&self, amount: u64, period: u64) {
        self.in_period(period);
        self.amount.fetch_add(amount, Relaxed);
    }

    /// As it was kept over a restart, if that is still the period. Adds to what was spent since.
    pub(super) fn restore(&self, spent: u64, of: u64, now: u64) {
        if of == now {
            self.spend(spent, now);
        }
    }

    /// What is left; below nothing where more was spent than there was.
    pub(super) fn left(&self, most: u64, period: u64) -> i64 {
        let used = self.in_period(period).saturating_add(self.reserved.load(Relaxed));
        let signed = |amount: u64| i64::try_from(amount).unwrap_or(i64::MAX);
        signed(most) - signed(used)
    }

    /// What was spent in this period. Whoever is first in a new one takes out what was spent before it: exactly that,
    /// so that what others add at this moment stays.
    pub(super) fn in_period(&self, period: u64) -> u64 {
        let (spent, known) = (self.amount.load(Relaxed), self.period.load(Relaxed));
        // A clock that was set back leads to no earlier period.
        if period <= known {
            return self.amount.load(Relaxed);
        }
        if self.period.compare_exchange(known, period, Relaxed, Relaxed).is_ok() {
            self.amount.fetch_sub(spent, Relaxed);
        }
        self.amount.load(Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOV_28: u64 = 20_785;

    #[test]
    fn periods_begin_at_midnight_and_on_the_first() {
        let noon = NOV_28 * DAY + DAY / 2;
        assert_eq!(period(Period::Day, noon), NOV_28);
        assert_eq!(period(Period::Month, noon), NOV_28 - 27);
        assert_eq!(period(Period::Total, noon), 0);
        assert_eq!(ends_in(Period::Day, noon), Some(DAY / 2));
        assert_eq!(ends_in(Period::Month, noon), Some(2 * DAY + DAY / 2));
        assert_eq!(ends_in(Period::Total, noon), None);
        let new_year = (NOV_28 + 33) * DAY;
        assert_eq!(ends_in(Period::Month, new_year), Some(DAY), "the 31st of December");
    }

    #[test]
    fn what_is_in_flight_is_not_there_for_others() {
        let spent = Spent::default();
        assert!(spent.reserve(60, 100, 1) && spent.reserve(60, 100, 1));
        assert!(!spent.reserve(1, 100, 1), "and what is refused reserves nothing");
        assert_eq!(spent.left(100, 1), -20);
        spent.release(60);
        spent.spend(10, 1);
        assert_eq!(spent.left(100, 1), 30);
        assert!(spent.reserve(1, 100, 1));
    }

    #[test]
    fn a_new_period_forgets_what_was_spent_and_not_what_is_in_flight() {
        let spent = Spent::default();
        spent.spend(100, 7);
        assert!(!spent.reserve(1, 100, 7));
        assert!(spent.reserve(30, 100, 8));
        assert_eq!(spent.left(100, 8), 70);
        spent.spend(40, 8);
        spent.release(30);
        assert_eq!(spent.left(100, 8), 60);
        assert_eq!(spent.left(100, 7), 60, "a clock that is set back begins no period anew");
    }

    #[test]
    fn what_was_kept_counts_if_its_period_is_not_over() {
        let spent = Spent::default();
        spent.spend(5, 3);
        spent.restore(20, 3, 3);
        spent.restore(1_000, 2, 3);
        assert_eq!(spent.left(100, 3), 75);
    }
}
