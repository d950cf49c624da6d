//! One limit as this instance shares it: what it has to report, what it knows, and what it may take until the next time.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::script::{Ask, Sort, Told};
use crate::admit::{Caller, Limiter, Measure};
use crate::algo::calendar::DAY;

/// How long a limit that nobody uses stays known, where it has no bucket that says when it is full again.
const QUIET: Duration = Duration::from_secs(10);
/// How often the server is asked about a limit of which nothing was taken, since it was used up.
const LOOK: Duration = Duration::from_millis(100);
/// A budget's state is kept for so much longer than its period, in seconds: clocks differ.
const KEPT: u64 = 86_400;

/// One of a caller's limits.
#[derive(Clone)]
pub(super) struct Handle {
    of: Arc<Caller>,
    nth: usize,
}

/// What is known of one limit, and not yet told of it.
pub(super) struct Ledger {
    limiter: Handle,
    keys: [String; 2],
    /// Taken and in no report.
    unsent: i64,
    /// The same of a budget's last period, and which that was.
    late: (i64, u64),
    /// Sent, and not known to have arrived. It is sent again as it was, until it is known.
    report: Option<Report>,
    seq: u64,
    known: Option<Known>,
    /// Of a budget: what was spent by this process alone, as of when it was last looked at, and its period.
    own: (u64, u64),
    touched: Instant,
    told: Instant,
    /// Slots: the server may count more than are held.
    stale: bool,
    /// Slots: how many it was said last are held. Who is refused held one for a moment.
    said: u64,
    /// Somebody took of it, or tried to, since it was last told of.
    asked_of: bool,
}

#[derive(Clone, Copy)]
struct Report {
    seq: u64,
    n: i64,
    /// Of a budget: it belongs to this one, however late it arrives.
    period: u64,
}

struct Known {
    told: Told,
    at: Instant,
    /// Of a budget.
    period: u64,
}

/// What is left to one process, of what is left to all.
pub(super) fn lease(left: i64, instances: u64) -> i64 {
    if left <= 0 {
        return left; // what is given back is owed first
    }
    (left / i64::try_from(instances.max(1)).unwrap_or(i64::MAX)).max(1)
}

impl Handle {
    /// All limits of a caller.
    pub(super) fn all(of: &Arc<Caller>) -> impl Iterator<Item = Self> {
        let of = Arc::clone(of);
        (0..of.limiters().len()).map(move |nth| Self { of: Arc::clone(&of), nth })
    }

    /// Nobody has used it: its part of a full limit is this process's.
    pub(super) fn grant_full(&self, instances: u64) {
        let Some(limiter) = self.get() else { return };
        let most = i64::try_from(limiter.measure().most()).unwrap_or(i64::MAX);
        limiter.grant(most, lease(most, instances));
    }

    pub(super) fn get(&self) -> Option<&Limiter> {
        self.of.limiters().get(self.nth)
    }

    pub(super) fn is_budget(&self) -> bool {
        self.get().is_some_and(|limiter| matches!(limiter.measure(), Measure::Budget(_)))
    }
}

impl Ledger {
    /// `seq`: larger than any that this instance used for the same limit before.
    pub(super) fn new(
        limiter: Handle,
        keys: [String; 2],
        seq: u64,
        now: Instant,
        unix: u64,
    ) -> Self {
        let own = limiter.get().map_or((0, 0), |limiter| spent(limiter, unix));
        Self {
            limiter,
            keys,
            unsent: 0,
            late: (0, 0),
            report: None,
            seq,
            known: None,
            own,
            touched: now,
            told: now.checked_sub(LOOK).unwrap_or(now),
            stale: false,
            said: 0,
            asked_of: true,
        }
    }

    /// The same limit in a new configuration.
    pub(super) fn follow(&mut self, limiter: Handle) {
        self.limiter = limiter;
    }

    /// The same limit under other keys, of which the one before was told that no slot is held any more.
    pub(super) fn move_to(&mut self, keys: [String; 2]) {
        (self.keys, self.asked_of) = (keys, true);
        self.stale = self.is_slots();
    }

    /// Takes what the limiter has to report.
    pub(super) fn collect(&mut self, now: Instant, unix: u64) {
        let Some(limiter) = self.limiter.get() else { return };
        let own = spent(limiter, unix);
        if own.1 != self.own.1 {
            self.late = (std::mem::take(&mut self.unsent), self.own.1);
            self.own = (0, own.1);
        }
        self.late.0 = self.late.0.saturating_add(limiter.report_late());
        let taken = limiter.report();
        self.unsent = self.unsent.saturating_add(taken.unwrap_or(0));
        // What a budget had to be charged without the others is told to them when that can be done.
        let spent = i64::try_from(own.0.saturating_sub(self.own.0)).unwrap_or(i64::MAX);
        self.unsent = self.unsent.saturating_add(spent);
        self.own = own;
        if taken.is_some() || spent > 0 {
            (self.touched, self.asked_of) = (now, true);
        }
    }

    /// Whether something is to be said now: what was not heard, and that slots are still held.
    pub(super) fn is_due(&self, now: Instant, beat: Duration) -> bool {
        let held = || self.limiter.get().map_or(0, Limiter::in_flight);
        self.unsent != 0
            || self.late.0 != 0
            || self.stale
            // Nothing is known of a budget's new period.
            || self.known.as_ref().is_some_and(|known| known.period != self.own.1)
            // It may have refused what others gave back since.
            || (self.asked_of && now.duration_since(self.told) >= LOOK)
            || self.report.is_some()
            || (self.is_slots()
                && (held() != self.said || (held() > 0 && now.duration_since(self.told) >= beat)))
    }

    /// Something was taken that is in no report.
    pub(super) fn owes(&self) -> bool {
        (self.unsent != 0 || self.late.0 != 0) && !self.is_slots()
    }

    /// What to say.
    pub(super) fn ask(&mut self, now: Instant, unix: u64) -> Option<Ask> {
        let mut sort = self.sort(unix)?;
        let limiter = self.limiter.get()?;
        self.asked_of = false;
        let (n, seq, period) = if let Sort::Slots { .. } = sort {
            (self.unsent, self.stale, self.said) = (0, false, limiter.in_flight());
            (i64::try_from(self.said).unwrap_or(i64::MAX), 0, 0)
        } else {
            let Report { seq, n, period } = self.report.unwrap_or_else(|| self.next_report());
            self.report = Some(Report { seq, n, period });
            (n, seq, period)
        };
        if let Sort::Budget { forget, .. } = &mut sort
            && period != self.own.1
        {
            *forget = (self.own.1 * DAY + KEPT) * 1000; // it was over by then
        }
        let (era, floor) = self.remembered(sort, now, period);
        Some(Ask { keys: self.keys(period), sort, n, need: 0, seq, era, floor, period })
    }

    /// What was taken in a budget's last period comes first.
    fn next_report(&mut self) -> Report {
        self.seq += 1;
        let (n, period) = if self.late.0 == 0 {
            (std::mem::take(&mut self.unsent), self.own.1)
        } else {
            (std::mem::take(&mut self.late.0), self.late.1)
        };
        Report { seq: self.seq, n, period }
    }

    /// What to ask for before a request.
    pub(super) fn want(&self, units: u64, now: Instant, unix: u64) -> Option<Ask> {
        let (sort, limiter) = (self.sort(unix)?, self.limiter.get()?);
        let units = i64::try_from(units).unwrap_or(i64::MAX);
        let (n, need) = match (sort, limiter.measure()) {
            (Sort::Slots { .. }, _) => (1, 1),
            (_, Measure::Requests(_)) => (units, units.unsigned_abs()),
            _ => (units, 1),
        };
        let period = limiter.period(unix);
        let (era, mut floor) = self.remembered(sort, now, period);
        if let Sort::Slots { .. } = sort {
            floor = i64::try_from(limiter.in_flight()).unwrap_or(i64::MAX); // it has its place by now
        }
        Some(Ask { keys: self.keys(period), sort, n, need, seq: 0, era, floor, period })
    }

    /// What was said arrived.
    pub(super) fn heard(&mut self, told: Told, instances: u64, now: Instant) {
        let period = self.report.take().map_or(self.own.1, |report| report.period);
        self.told = now;
        self.learn(told, period, instances, now);
    }

    /// What was told beside a request may be older than what is known: the server is asked again soon.
    pub(super) fn look(&mut self) {
        self.asked_of = true;
    }

    /// A request that was decided elsewhere took of it and ended before it knew.
    pub(super) fn give_back(&mut self, units: u64) {
        if self.is_slots() {
            self.stale = true;
        } else {
            self.unsent = self.unsent.saturating_sub_unsigned(units);
        }
    }

    /// What is left of a budget in this period, or of another limit, was told with something else. What is left of a
    /// period that is over is of no concern.
    pub(super) fn learn(&mut self, told: Told, period: u64, instances: u64, now: Instant) {
        if period < self.own.1 {
            return;
        }
        if let Some(limiter) = self.limiter.get() {
            let unsent = if period == self.own.1 { self.unsent } else { 0 };
            let left = told.left.saturating_sub(unsent);
            limiter.grant_in(period, left, lease(left, instances));
        }
        self.known = Some(Known { told, at: now, period });
    }

    /// Nobody used it of late: what flowed in since is granted without a word to anybody. `false` where it is as if
    /// nobody ever had, so that it need not be remembered.
    pub(super) fn rest(&mut self, instances: u64, now: Instant) -> bool {
        let (Some(limiter), Some(known)) = (self.limiter.get(), &self.known) else { return true };
        let most = i64::try_from(limiter.measure().most()).unwrap_or(i64::MAX);
        match limiter.measure() {
            Measure::Requests(rate) | Measure::Tokens(rate) => {
                let left =
                    known.told.left.saturating_add(flowed(rate.per_minute(), now - known.at));
                limiter.grant(left.min(most), lease(left.min(most), instances));
                left < most
            }
            Measure::Concurrent(_) => {
                let quiet = now - self.touched > QUIET && limiter.in_flight() == 0;
                if quiet {
                    self.limiter.grant_full(instances);
                }
                !quiet
            }
            Measure::Budget(_) => true,
        }
    }

    /// From now on this process goes by its own part; what is known to be used already, it knows too. `nanos`: the
    /// process's own clock.
    pub(super) fn fall_back(&mut self, instances: u64, now: Instant, nanos: u64, unix: u64) {
        self.collect(now, unix);
        let Some(limiter) = self.limiter.get() else { return };
        let most = i64::try_from(limiter.measure().most()).unwrap_or(i64::MAX);
        // What the server was not heard to know of comes out of this process's own part.
        let report = self.report.filter(|report| report.period == self.own.1);
        let unheard = self.unsent.saturating_add(report.map_or(0, |report| report.n)).max(0);
        let (left, at) = self.known.as_ref().map_or((most, now), |one| (one.told.left, one.at));
        match limiter.measure() {
            Measure::Requests(rate) | Measure::Tokens(rate) => {
                let left = left.saturating_add(flowed(rate.per_minute(), now - at));
                let missing = u128::from(most.saturating_sub(left).max(0).unsigned_abs());
                let missing = missing + u128::from(unheard.unsigned_abs()) * u128::from(instances);
                let full_in = missing * 60_000_000_000 / u128::from(rate.per_minute().max(1));
                let full_in = u64::try_from(full_in).unwrap_or(u64::MAX);
                limiter.restore_full_at(nanos.saturating_add(full_in));
            }
            Measure::Budget(_) => {
                // Of a period that is over nothing counts.
                let is_now = self.known.as_ref().is_some_and(|one| one.period == self.own.1);
                let left = if is_now { left } else { most };
                let used = most.saturating_sub(left).max(0).unsigned_abs() / instances.max(1);
                let used = used.saturating_add(unheard.unsigned_abs());
                limiter.restore_spent(used.saturating_sub(self.own.0), self.own.1, unix);
                self.own = spent(limiter, unix);
            }
            Measure::Concurrent(_) => {}
        }
    }

    /// How many times what it holds all instances could take beyond the limit before they hear of each other: what each
    /// was granted, of a full limit.
    pub(super) fn overshoot(&self, instances: u64) -> f64 {
        let (Some(limiter), Some(known)) = (self.limiter.get(), &self.known) else { return 0.0 };
        let granted = lease(known.told.left, instances).max(0) as f64;
        granted * instances as f64 / (limiter.measure().most().max(1) as f64)
    }

    fn is_slots(&self) -> bool {
        self.limiter.get().is_some_and(|one| matches!(one.measure(), Measure::Concurrent(_)))
    }

    fn sort(&self, unix: u64) -> Option<Sort> {
        Some(match self.limiter.get()?.measure() {
            Measure::Requests(rate) | Measure::Tokens(rate) => {
                Sort::Rate { per_minute: rate.per_minute().max(1), most: rate.most() }
            }
            Measure::Concurrent(most) => Sort::Slots { most: most as u64 },
            measure @ Measure::Budget(_) => {
                let ends =
                    self.limiter.get()?.ends_in(unix).map(|seconds| (unix + seconds + KEPT) * 1000);
                Sort::Budget { most: measure.most(), forget: ends.unwrap_or(0) }
            }
        })
    }

    /// A budget's next period has keys of its own: what belongs to the last one cannot be charged to it.
    fn keys(&self, period: u64) -> [String; 2] {
        if self.limiter.is_budget() {
            self.keys.clone().map(|key| format!("{key}:{period}"))
        } else {
            self.keys.clone()
        }
    }

    /// The state that it knows, and what was used of it, so that a server which lost it has it back.
    fn remembered(&self, sort: Sort, now: Instant, period: u64) -> (String, i64) {
        let Some(known) = &self.known else { return (String::new(), 0) };
        match sort {
            Sort::Rate { per_minute, .. } => {
                let millis = i64::try_from((now - known.at).as_millis()).unwrap_or(i64::MAX);
                let drained = millis.saturating_mul(i64::try_from(per_minute).unwrap_or(i64::MAX));
                let used = known.told.used.saturating_sub(drained).max(0);
                (known.told.era.clone(), used)
            }
            Sort::Slots { .. } => (String::new(), 0),
            Sort::Budget { .. } => {
                if period != known.period {
                    return (String::new(), 0);
                }
                (known.told.era.clone(), known.told.used)
            }
        }
    }
}

/// What this process spent of a budget by itself, and in which period.
fn spent(limiter: &Limiter, unix: u64) -> (u64, u64) {
    (limiter.spent(unix).map_or(0, |(spent, _)| spent), limiter.period(unix))
}

/// Units that flow in within this time.
fn flowed(per_minute: u64, time: Duration) -> i64 {
    let units = u128::from(per_minute) * time.as_millis() / 60_000;
    i64::try_from(units).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_granted_its_part_and_one_at_least_while_one_is_left() {
        assert_eq!((lease(90, 3), lease(2, 3), lease(1, 3)), (30, 1, 1));
        assert_eq!((lease(0, 3), lease(-5, 3), lease(7, 0)), (0, -5, 7));
    }

    #[test]
    fn what_flows_in_is_counted_down_to_whole_units() {
        assert_eq!(flowed(60, Duration::from_millis(2_999)), 2);
        assert_eq!(flowed(u64::MAX, Duration::from_secs(60)), i64::MAX);
    }
}
