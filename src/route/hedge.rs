//! When a second member is asked beside one that is late, and how often that is afforded: pure.
//!
//! Each request that goes somewhere first brings one sample: how long its first byte took, or how long it
//! had not come when the other's was there. That second kind is too short, and right all the same: it lies
//! beyond the delay, and so beyond the quantile, wherever the first byte would have come. Hedges bring
//! none: they are seen only where they are quick.

use std::cell::{Cell, RefCell};
use std::time::{Duration, Instant};

use crate::algo::budget::Budget;
use crate::algo::window::Window;
use crate::config::Hedge;

/// How far back the quantile looks, at most. Long enough for two hundred answers at four a second, short
/// enough to follow a model's load through the day.
const LIVE: Duration = Duration::from_secs(120);

/// So many samples beyond the quantile are to be expected before it is believed.
const BEYOND: u32 = 2;

/// One worker's hedging in one group.
#[derive(Debug)]
pub struct Hedging {
    hedge: Hedge,
    window: RefCell<Window>,
    budget: Cell<Budget>,
}

impl Hedging {
    /// Nothing is known yet, and the budget's reserve is full.
    pub fn new(hedge: Hedge, now: Instant) -> Self {
        Self {
            window: RefCell::new(Window::new(LIVE, now)),
            budget: Cell::new(Budget::new(hedge.budget)),
            hedge,
        }
    }

    /// Goes on where `before` is.
    pub(super) fn succeed(&self, before: &Hedging) {
        *self.window.borrow_mut() = before.window.borrow().clone();
        self.budget.set(self.budget.get().after(before.budget.get()));
    }

    /// How long the first byte may take before a second member is asked: the quantile of what was seen
    /// lately, or up to 1.42 times it; never under the floor or over the ceiling, and the ceiling while
    /// too little was seen.
    pub fn delay(&self, now: Instant) -> Duration {
        let Hedge { quantile, floor, ceiling, .. } = self.hedge;
        let mut window = self.window.borrow_mut();
        window.slide(now);
        let least = (100 * BEYOND).div_ceil(100 - quantile.min(99));
        window.first_byte(quantile, least).unwrap_or(ceiling).max(floor).min(ceiling)
    }

    /// The first byte of a request that is no hedge took this long, or had not come by then.
    pub fn saw(&self, now: Instant, took: Duration) {
        self.window.borrow_mut().answered(now, took);
    }

    /// A request came.
    pub(super) fn earn(&self) {
        let mut budget = self.budget.get();
        budget.earn();
        self.budget.set(budget);
    }

    /// A hedge is wanted; `false` where it is not afforded.
    pub fn afford(&self) -> bool {
        let mut budget = self.budget.get();
        let afforded = budget.spend();
        self.budget.set(budget);
        afforded
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reload_forgets_no_first_byte_and_fills_no_budget() {
        let now = Instant::now();
        let (before, after) = (Hedging::new(HEDGE, now), Hedging::new(HEDGE, now));
        (0..200).for_each(|_| before.saw(now, 100 * MS));
        while before.afford() {}
        after.succeed(&before);
        assert_eq!(after.delay(now), before.delay(now));
        assert!(after.delay(now) < HEDGE.ceiling && !after.afford());
    }

    const MS: Duration = Duration::from_millis(1);

    const HEDGE: Hedge =
        Hedge { quantile: 95, floor: Duration::from_millis(50), ceiling: S, budget: 5 };
    const S: Duration = Duration::from_secs(1);

    fn after(hedge: Hedge, samples: impl IntoIterator<Item = u32>) -> Duration {
        let now = Instant::now();
        let hedging = Hedging::new(hedge, now);
        samples.into_iter().for_each(|ms| hedging.saw(now, MS * ms));
        hedging.delay(now)
    }

    #[test]
    fn the_delay_is_the_live_quantile() {
        let delay = after(HEDGE, (1..=100).map(|nth| if nth <= 94 { 100 } else { 400 }));
        assert!(delay >= 400 * MS && delay < 570 * MS, "{delay:?}");
        let delay = after(HEDGE, (1..=100).map(|nth| if nth <= 95 { 100 } else { 400 }));
        assert!(delay >= 100 * MS && delay < 142 * MS, "{delay:?}");
    }

    #[test]
    fn it_stays_between_floor_and_ceiling() {
        assert_eq!(after(HEDGE, [1; 100]), HEDGE.floor);
        assert_eq!(after(HEDGE, [9_000; 100]), HEDGE.ceiling);
    }

    #[test]
    fn until_enough_is_known_it_is_the_ceiling() {
        assert_eq!(after(HEDGE, [100; 39]), HEDGE.ceiling);
        assert!(after(HEDGE, [100; 40]) < HEDGE.ceiling);
        let median = Hedge { quantile: 50, ..HEDGE };
        assert_eq!(after(median, [100; 3]), HEDGE.ceiling);
        assert!(after(median, [100; 4]) < HEDGE.ceiling);
        let p99 = Hedge { quantile: 99, ..HEDGE };
        assert_eq!(after(p99, [100; 199]), HEDGE.ceiling);
        assert!(after(p99, [100; 200]) < HEDGE.ceiling);
    }

    #[test]
    fn what_was_long_ago_is_forgotten_without_a_new_sample() {
        let now = Instant::now();
        let hedging = Hedging::new(HEDGE, now);
        (0..100).for_each(|_| hedging.saw(now, 100 * MS));
        assert!(hedging.delay(now + LIVE / 2) < HEDGE.ceiling);
        assert_eq!(hedging.delay(now + LIVE * 2), HEDGE.ceiling);
    }

    /// The answer that a hedge overtook would have come at any later time: its sample says "later than the
    /// delay", and the quantile stays where it is.
    #[test]
    fn overtaken_answers_keep_the_quantile_where_it_is() {
        let now = Instant::now();
        let hedging = Hedging::new(HEDGE, now);
        for nth in 0..1_000 {
            // One in fifty takes ten seconds and more, and is overtaken 20 ms after the hedge was sent.
            let would_take = if nth % 50 == 0 { 10 * S } else { 200 * MS };
            hedging.saw(now, would_take.min(hedging.delay(now) + 20 * MS));
        }
        let delay = hedging.delay(now);
        assert!(delay >= 200 * MS && delay < 290 * MS, "{delay:?}");
    }

    #[test]
    fn where_all_is_slow_hedges_are_their_share_of_requests_and_the_reserve() {
        let hedging = Hedging::new(HEDGE, Instant::now());
        let afforded = (0..1_001).filter(|_| {
            hedging.earn();
            hedging.afford()
        });
        assert_eq!(afforded.count(), 50 + 10);
    }
}
