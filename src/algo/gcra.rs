//! The generic cell rate algorithm (ITU-T I.371): a token bucket whose whole state is one instant, so that threads
//! share it as one atomic word. Pure; time is told, in nanoseconds since any one moment.
//!
//! The word is the theoretical arrival time: when the bucket will be full again. What is taken moves it on, what is
//! given back moves it back, and time does the rest: nobody fills the bucket, and it has no window with an edge at
//! which twice as much would pass.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

const MINUTE: u64 = 60_000_000_000;

/// How much there is in a minute, and how much of it at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    per_minute: u64,
    burst: u64,
    /// Units that a full bucket holds.
    most: u64,
    /// Nanoseconds for all of them, each rounded up.
    depth: u64,
}

/// What a bucket says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Level {
    /// Whole units that are left; below nothing where more was charged than there was.
    pub left: i64,
    /// Nanoseconds until it is full.
    pub full_in: u64,
}

/// There is not enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Short {
    /// Nanoseconds until there is, if nothing else is taken.
    pub wait: u64,
}

/// One bucket, full at first.
#[derive(Debug, Default)]
pub struct Gcra(AtomicU64);

impl Rate {
    /// `per_minute`: units that flow in each minute, at least 1. `burst`: nanoseconds that an empty bucket takes to be
    /// full; it holds one unit at least, or nothing could ever be taken.
    pub fn new(per_minute: u64, burst: u64) -> Self {
        let per_minute = per_minute.max(1);
        let rate = Self { per_minute, burst, most: 1, depth: 0 };
        let most = rate.units(burst).max(1);
        let depth = burst.max(rate.time(1).saturating_mul(most));
        Self { most, depth, ..rate }
    }

    /// The same burst of another rate.
    #[must_use]
    pub fn with(self, per_minute: u64) -> Self {
        if per_minute == self.per_minute { self } else { Self::new(per_minute, self.burst) }
    }

    /// Units that flow in each minute.
    pub fn per_minute(self) -> u64 {
        self.per_minute
    }

    /// Units that a full bucket holds.
    pub fn most(self) -> u64 {
        self.most
    }

    /// How long these many units take to flow in; rounded up, so that no rounding lets more pass.
    pub fn time(self, units: u64) -> u64 {
        if let Some(product) = units.checked_mul(MINUTE) {
            return product.div_ceil(self.per_minute);
        }
        let time = (u128::from(units) * u128::from(MINUTE)).div_ceil(u128::from(self.per_minute));
        u64::try_from(time).unwrap_or(u64::MAX)
    }

    /// Units that flow in within this time, rounded down.
    fn units(self, nanos: u64) -> u64 {
        if let Some(product) = nanos.checked_mul(self.per_minute) {
            return product / MINUTE;
        }
        let units = u128::from(nanos) * u128::from(self.per_minute) / u128::from(MINUTE);
        u64::try_from(units).unwrap_or(u64::MAX)
    }
}

impl Gcra {
    /// Takes all of `units`, or none of them.
    ///
    /// # Errors
    /// There are fewer.
    pub fn take(&self, units: u64, rate: Rate, now: u64) -> Result<(), Short> {
        let time = rate.time(units);
        self.change(|full| {
            let next = full.max(now).saturating_add(time);
            let latest = now.saturating_add(rate.depth);
            if next > latest { Err(Short { wait: next - latest }) } else { Ok(next) }
        })
    }

    /// Takes `units` if anything is left at all, whatever they come to: for what is known only afterwards.
    ///
    /// # Errors
    /// Nothing is left.
    pub fn take_any(&self, units: u64, rate: Rate, now: u64) -> Result<(), Short> {
        let (time, least) = (rate.time(units), rate.time(1));
        self.change(|full| {
            let full = full.max(now);
            let latest = now.saturating_add(rate.depth);
            if full.saturating_add(least) > latest {
                return Err(Short { wait: full.saturating_add(least) - latest });
            }
            Ok(full.saturating_add(time))
        })
    }

    /// Takes `units` that are owed, whether or not they are there.
    pub fn charge(&self, units: u64, rate: Rate, now: u64) {
        let time = rate.time(units);
        let _never_fails = self.change(|full| Ok(full.max(now).saturating_add(time)));
    }

    /// Puts back what was taken and not used.
    pub fn give_back(&self, units: u64, rate: Rate) {
        let time = rate.time(units);
        let _never_fails = self.change(|full| Ok(full.saturating_sub(time)));
    }

    /// What is left.
    pub fn level(&self, rate: Rate, now: u64) -> Level {
        let full_in = self.0.load(Relaxed).saturating_sub(now);
        let depth = rate.depth;
        let left = if full_in <= depth {
            i64::try_from(rate.units(depth - full_in)).unwrap_or(i64::MAX)
        } else {
            -i64::try_from(rate.units(full_in - depth)).unwrap_or(i64::MAX)
        };
        Level { left, full_in }
    }

    /// When it is full, for whoever keeps it over a restart.
    pub fn full_at(&self) -> u64 {
        self.0.load(Relaxed)
    }

    /// As it was kept. What was taken since is not forgotten.
    pub fn restore(&self, full_at: u64) {
        self.0.fetch_max(full_at, Relaxed);
    }

    /// The word alone is exchanged, no other memory: relaxed is enough.
    fn change(&self, next: impl Fn(u64) -> Result<u64, Short>) -> Result<(), Short> {
        let mut full = self.0.load(Relaxed);
        loop {
            let changed = next(full)?;
            match self.0.compare_exchange_weak(full, changed, Relaxed, Relaxed) {
                Ok(_) => return Ok(()),
                Err(now) => full = now,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::AtomicU64 as Count;

    const S: u64 = 1_000_000_000;

    fn rate() -> Rate {
        Rate::new(60, 60 * S)
    }

    fn taken(gcra: &Gcra, rate: Rate, now: u64) -> u64 {
        let mut taken = 0;
        while gcra.take(1, rate, now).is_ok() {
            taken += 1;
        }
        taken
    }

    #[test]
    fn all_of_a_minute_may_come_at_once_and_then_one_each_second() {
        let gcra = Gcra::default();
        assert_eq!(taken(&gcra, rate(), 1_000 * S), 60);
        assert_eq!(gcra.take(1, rate(), 1_000 * S), Err(Short { wait: S }));
        assert_eq!(taken(&gcra, rate(), 1_001 * S), 1);
        assert_eq!(taken(&gcra, rate(), 1_011 * S), 10);
    }

    #[test]
    fn no_edge_lets_twice_as_much_pass() {
        let gcra = Gcra::default();
        assert_eq!(taken(&gcra, rate(), 59 * S), 60);
        assert_eq!(taken(&gcra, rate(), 61 * S), 2, "two seconds' worth");
    }

    #[test]
    fn over_any_hour_it_lets_its_rate_pass_to_the_unit_whatever_the_rate() {
        for per_minute in [1, 7, 61, 999, 100_003] {
            let (rate, gcra) = (Rate::new(per_minute, 60 * S), Gcra::default());
            let mut passed = taken(&gcra, rate, 0) - rate.most();
            for tick in 1..=3_600 {
                passed += taken(&gcra, rate, tick * S);
            }
            let due = per_minute * 60;
            assert!(passed.abs_diff(due) <= 1 + due / 10_000, "{per_minute}: {passed} of {due}");
        }
    }

    #[test]
    fn of_any_rate_a_whole_minutes_worth_may_come_at_once() {
        for per_minute in [1, 3, 7, 59, 61, 999, 123_457] {
            let rate = Rate::new(per_minute, 60 * S);
            assert_eq!(taken(&Gcra::default(), rate, 0), per_minute);
        }
    }

    #[test]
    fn a_short_burst_paces_and_is_never_less_than_one() {
        let rate = Rate::new(6, S);
        let gcra = Gcra::default();
        assert_eq!(rate.most(), 1);
        assert_eq!(taken(&gcra, rate, 5 * S), 1);
        assert_eq!(gcra.take(1, rate, 5 * S), Err(Short { wait: 10 * S }));
        assert_eq!(taken(&gcra, rate, 15 * S), 1);
    }

    #[test]
    fn what_is_charged_afterwards_may_be_more_than_there_is_and_is_waited_for() {
        let gcra = Gcra::default();
        gcra.take_any(1, rate(), 0).unwrap();
        gcra.charge(89, rate(), 0);
        assert_eq!(gcra.level(rate(), 0), Level { left: -30, full_in: 90 * S });
        assert_eq!(gcra.take_any(1, rate(), 0), Err(Short { wait: 31 * S }));
        assert!(gcra.take_any(500, rate(), 31 * S).is_ok(), "as soon as one is there");
    }

    #[test]
    fn what_is_given_back_can_be_taken_again_and_fills_it_no_more_than_full() {
        let gcra = Gcra::default();
        assert_eq!(taken(&gcra, rate(), 0), 60);
        gcra.give_back(5, rate());
        assert_eq!(taken(&gcra, rate(), 0), 5);
        gcra.give_back(1_000, rate());
        assert_eq!(taken(&gcra, rate(), 0), 60);
    }

    #[test]
    fn workers_together_take_what_there_is_and_no_more() {
        let (gcra, sum) = (Arc::new(Gcra::default()), Arc::new(Count::new(0)));
        let rate = Rate::new(10_000, 60 * S);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| sum.fetch_add(taken(&gcra, rate, 7), Relaxed));
            }
        });
        assert_eq!(sum.load(Relaxed), 10_000);
    }

    #[test]
    fn what_was_kept_over_a_restart_is_no_second_burst() {
        let gcra = Gcra::default();
        gcra.restore(30 * S);
        assert_eq!(taken(&gcra, rate(), 0), 30);
    }
}
