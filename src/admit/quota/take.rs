//! All the limits of one request: taken together, or not at all.

use std::sync::Arc;

use super::limiter::{Account, Limiter, Measure};
use super::{Now, Refused};
use crate::admit::limit::LimitGuard;

/// What a request is reckoned to cost, before it is known: what its client's requests cost of late.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::admit) struct Reserve {
    /// Tokens.
    pub(in crate::admit) tokens: u64,
    /// Nanodollars.
    pub(in crate::admit) cost: u64,
    /// It is no more than a guess, for want of any before it: of no limit more than a tenth is reserved.
    pub(in crate::admit) is_guess: bool,
}

/// What a request took of each of its limits. Dropped, it gives back its places, and what it reserved; that a request
/// was made stays counted.
#[derive(Debug)]
pub(in crate::admit) struct Taken {
    limiters: Arc<[Limiter]>,
    /// One for each limiter, in their order; `None` where nothing is held any more.
    held: Vec<Option<Held>>,
    now: Now,
}

#[derive(Debug)]
struct Held {
    account: Account,
    units: u64,
    slot: Option<LimitGuard>,
}

/// What a request came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Used {
    requests: u64,
    tokens: u64,
    cost: u64,
}

impl Reserve {
    fn of(self, measure: Measure) -> u64 {
        let units = match measure {
            Measure::Requests(_) | Measure::Concurrent(_) => return 1,
            Measure::Tokens(_) => self.tokens,
            Measure::Budget(budget) => match budget.amount {
                crate::config::Amount::Tokens(_) => self.tokens,
                crate::config::Amount::NanoUsd(_) => self.cost,
            },
        };
        if self.is_guess { units.min(measure.most() / 10).max(1) } else { units }
    }
}

impl Used {
    fn of(self, measure: Measure) -> u64 {
        match measure {
            Measure::Requests(_) => self.requests,
            Measure::Concurrent(_) => 0,
            Measure::Tokens(_) => self.tokens,
            Measure::Budget(budget) => match budget.amount {
                crate::config::Amount::Tokens(_) => self.tokens,
                crate::config::Amount::NanoUsd(_) => self.cost,
            },
        }
    }
}

impl Taken {
    /// Takes of all of them. What one of them refuses is taken back from those before it.
    ///
    /// # Errors
    /// The first that is used up.
    pub(in crate::admit) fn all(
        limiters: &Arc<[Limiter]>,
        reserve: Reserve,
        now: Now,
    ) -> Result<Self, Refused<'_>> {
        let mut taken =
            Self { limiters: Arc::clone(limiters), held: Vec::with_capacity(limiters.len()), now };
        for limiter in limiters.iter() {
            match Held::of(limiter, reserve, now) {
                Ok(held) => taken.held.push(Some(held)),
                Err(wait) => {
                    limiter.count_refusal();
                    taken.withdraw();
                    return Err(Refused { limiter, wait });
                }
            }
        }
        Ok(taken)
    }

    /// What to ask elsewhere for: of each limit its key and how much.
    pub(in crate::admit) fn wants(limiters: &[Limiter], reserve: Reserve) -> Vec<(String, u64)> {
        let wants = limiters.iter().map(|one| (one.key(), reserve.of(one.measure())));
        wants.collect()
    }

    /// All of them were taken elsewhere, or let pass and counted nowhere. `places`: those of [`Taken::places`].
    pub(in crate::admit) fn elsewhere(
        limiters: &Arc<[Limiter]>,
        reserve: Reserve,
        places: Vec<Option<LimitGuard>>,
        is_counted: bool,
        now: Now,
    ) -> Self {
        let account = if is_counted { Account::Leased } else { Account::Nobody };
        let each = limiters.iter().zip(places);
        let held = each.map(|(limiter, slot)| {
            let units = reserve.of(limiter.measure());
            Some(Held { account, units, slot })
        });
        Self { limiters: Arc::clone(limiters), held: held.collect(), now }
    }

    /// Places among the requests in flight, which are counted while the request is decided on.
    pub(in crate::admit) fn places(limiters: &[Limiter]) -> Vec<Option<LimitGuard>> {
        let is_slots = |one: &&Limiter| matches!(one.measure(), Measure::Concurrent(_));
        limiters.iter().map(|one| Some(one).filter(is_slots)?.enter_counted()).collect()
    }

    /// The request was not made after all: nothing of it counts.
    pub(in crate::admit) fn withdraw(mut self) {
        self.settle_all(Used::default(), self.now);
    }

    /// The request costs no tokens, and goes on for long: what it reserved is given back. It keeps its places among
    /// those in flight, and that it was made stays counted.
    pub(in crate::admit) fn costs_nothing(&mut self) {
        let used = Used { requests: 1, ..Used::default() };
        for (limiter, held) in self.limiters.iter().zip(&mut self.held) {
            let is_place = matches!(limiter.measure(), Measure::Concurrent(_));
            if let Some(held) = held.take_if(|_| !is_place) {
                let used = used.of(limiter.measure());
                limiter.settle(held.account, held.units, used, self.now, self.now);
            }
        }
    }

    /// The request came to these tokens and nanodollars.
    pub(in crate::admit) fn settle(mut self, tokens: u64, cost: u64, now: Now) {
        self.settle_all(Used { requests: 1, tokens, cost }, now);
    }

    fn settle_all(&mut self, used: Used, now: Now) {
        for (limiter, held) in self.limiters.iter().zip(self.held.drain(..)) {
            let Some(held) = held else { continue };
            // First: whoever is told that something changed looks at what is held.
            drop(held.slot);
            let used = used.of(limiter.measure());
            limiter.settle(held.account, held.units, used, self.now, now);
        }
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.settle_all(Used { requests: 1, ..Used::default() }, self.now);
    }
}

impl Held {
    fn of(limiter: &Limiter, reserve: Reserve, now: Now) -> Result<Self, Option<u64>> {
        let units = reserve.of(limiter.measure());
        if let Measure::Concurrent(most) = limiter.measure() {
            let (account, slot) = limiter.enter(most).ok_or(None)?;
            return Ok(Self { account, units, slot: Some(slot) });
        }
        Ok(Self { account: limiter.take(units, now)?, units, slot: None })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::admit::quota::limiter::measures;
    use crate::admit::quota::{Sharing, Standing};
    use crate::config::{Allowance, Amount, Budget, Period};

    const S: u64 = 1_000_000_000;
    const GUESS: Reserve = Reserve { tokens: 1_000, cost: 10_000_000, is_guess: true };

    fn at(seconds: u64) -> Now {
        Now { nanos: seconds * S, unix: 1_800_000_000 + seconds }
    }

    fn limiters(of: &[Allowance]) -> Arc<[Limiter]> {
        let owner: Arc<str> = "client a".into();
        let all = of.iter().flat_map(measures);
        all.map(|measure| Limiter::new(&owner, measure, None, None)).collect()
    }

    fn allowance(change: impl FnOnce(&mut Allowance)) -> Allowance {
        let mut one = Allowance { burst: Duration::from_secs(60), ..Allowance::default() };
        change(&mut one);
        one
    }

    fn left(of: &[Limiter], nth: usize, now: Now) -> i64 {
        of[nth].level(now).left
    }

    #[test]
    fn what_one_limit_refuses_no_other_has_counted() {
        let own =
            allowance(|one| (one.rpm, one.concurrent, one.tpm) = (Some(10), Some(10), Some(1_000)));
        let groups = allowance(|one| one.rpm = Some(1));
        let all = limiters(&[own, groups]);
        let first = Taken::all(&all, GUESS, at(0)).unwrap();
        let refused = Taken::all(&all, GUESS, at(0)).unwrap_err();
        assert_eq!(
            (refused.limiter.to_string(), refused.wait),
            ("client a, rpm".into(), Some(60 * S))
        );
        assert_eq!((left(&all, 0, at(0)), left(&all, 1, at(0)), left(&all, 2, at(0))), (9, 9, 900));
        first.settle(50, 0, at(0));
        assert_eq!(
            (left(&all, 0, at(0)), left(&all, 1, at(0)), left(&all, 2, at(0))),
            (10, 9, 950)
        );
        assert_eq!((all[1].refused(), all[3].refused()), (0, 1));
    }

    #[test]
    fn a_request_that_is_withdrawn_counts_under_none_and_one_that_is_dropped_as_one() {
        let all = limiters(&[allowance(|one| (one.rpm, one.tpm) = (Some(10), Some(1_000)))]);
        Taken::all(&all, GUESS, at(0)).unwrap().withdraw();
        assert_eq!((left(&all, 0, at(0)), left(&all, 1, at(0))), (10, 1_000));
        drop(Taken::all(&all, GUESS, at(0)).unwrap());
        assert_eq!((left(&all, 0, at(0)), left(&all, 1, at(0))), (9, 1_000));
    }

    #[test]
    fn streams_in_flight_hold_what_requests_cost_of_late_so_that_they_cannot_all_pass_one_check() {
        let budget = Budget { amount: Amount::Tokens(10_000), per: Period::Day };
        let all = limiters(&[allowance(|one| one.budgets = vec![budget])]);
        let known = Reserve { tokens: 1_000, cost: 0, is_guess: false };
        let running: Vec<_> =
            (0..200).filter_map(|_| Taken::all(&all, known, at(0)).ok()).collect();
        assert_eq!(running.len(), 10);
        for one in running {
            one.settle(1_200, 0, at(1));
        }
        assert_eq!(left(&all, 0, at(1)), -2_000, "what they cost beyond what was reserved");
        assert!(Taken::all(&all, known, at(1)).is_err());
    }

    #[test]
    fn where_processes_share_it_a_budget_s_new_period_owes_nothing_of_the_old_one() {
        let sharing = Arc::new(Sharing::new());
        sharing.set(Standing::Leased, 1);
        let budget = Budget { amount: Amount::Tokens(8_000), per: Period::Day };
        let limiter =
            Limiter::new(&"client a".into(), Measure::Budget(budget), None, Some(&sharing));
        let all: Arc<[Limiter]> = [limiter].into();
        let on = |day: u64| Now { nanos: 0, unix: (20_785 + day) * 86_400 };
        let known = Reserve { tokens: 1_000, cost: 0, is_guess: false };
        let lasting = Taken::all(&all, known, on(0)).unwrap();
        let dropped = Taken::all(&all, known, on(0));
        assert!(dropped.is_err(), "an eighth, of which nothing is left");
        let next = Taken::all(&all, known, on(1));
        let next = next.expect("the first of a new period is not refused for the old one's use");
        assert_eq!(all[0].report_late(), 1_000);
        assert_eq!(all[0].report(), Some(1_000));
        lasting.settle(10, 0, on(1));
        assert_eq!(all[0].report(), Some(10), "what it used, and nothing back that it took before");
        next.settle(30, 0, on(1));
        assert_eq!(all[0].report(), Some(-970));
    }

    #[test]
    fn money_is_charged_to_the_nanodollar() {
        let budget = Budget { amount: Amount::NanoUsd(1_000_000_000), per: Period::Total };
        let all = limiters(&[allowance(|one| one.budgets = vec![budget])]);
        let one = Taken::all(&all, GUESS, at(0)).unwrap();
        assert_eq!(left(&all, 0, at(0)), 990_000_000);
        one.settle(3, 60, at(0));
        assert_eq!(left(&all, 0, at(0)), 999_999_940);
    }
}
