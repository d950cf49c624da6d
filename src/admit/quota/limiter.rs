//! One limit of one client or client group.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::Now;
use super::budget::{self, Spent};
use super::lease::{Lease, Sharing};
use super::remote::Standing;
use crate::admit::limit::{Limit, LimitGuard};
use crate::algo::gcra::{Gcra, Level, Rate, Short};
use crate::config::{Allowance, Amount, Budget};

/// What is limited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Measure {
    /// Requests in a minute.
    Requests(Rate),
    /// Tokens in a minute.
    Tokens(Rate),
    /// Requests in flight.
    Concurrent(usize),
    /// Tokens or money in a period.
    Budget(Budget),
}

/// A limit: what it is called, how much it is, and what was used of it. A reload makes another one of the same state.
#[derive(Debug)]
pub struct Limiter {
    /// Whose it is, as people read it: `client app-a`.
    owner: Arc<str>,
    measure: Measure,
    state: Arc<State>,
    sharing: Option<Arc<Sharing>>,
}

/// What was used of a limit; outlives configurations.
#[derive(Debug)]
pub struct State {
    pub(super) gcra: Gcra,
    pub(super) slots: Limit,
    pub(super) spent: Spent,
    pub(super) lease: Lease,
    refused: AtomicU64,
}

/// Where what was taken is counted, and is to be settled, however processes stand by then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Account {
    /// In this process.
    Own,
    /// In what others grant.
    Leased,
    /// Nowhere.
    Nobody,
}

/// The limits that an allowance has.
pub(in crate::admit) fn measures(of: &Allowance) -> impl Iterator<Item = Measure> {
    let burst = u64::try_from(of.burst.as_nanos()).unwrap_or(u64::MAX);
    let rate = |per_minute: u64| Rate::new(per_minute, burst);
    // What is refused most often comes first: nothing else need be taken back then.
    [
        of.concurrent.map(Measure::Concurrent),
        of.rpm.map(|rpm| Measure::Requests(rate(rpm))),
        of.tpm.map(|tpm| Measure::Tokens(rate(tpm))),
    ]
    .into_iter()
    .flatten()
    .chain(of.budgets.iter().copied().map(Measure::Budget))
}

impl Measure {
    /// As configuration has it; what is kept or shared of a limit goes by it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Requests(_) => "rpm",
            Self::Tokens(_) => "tpm",
            Self::Concurrent(_) => "concurrent",
            Self::Budget(Budget { amount: Amount::Tokens(_), .. }) => "budget_tokens",
            Self::Budget(Budget { amount: Amount::NanoUsd(_), .. }) => "budget_usd",
        }
    }

    /// How much there is of it at most, at once.
    pub fn most(&self) -> u64 {
        match self {
            Self::Requests(rate) | Self::Tokens(rate) => rate.most(),
            Self::Concurrent(most) => *most as u64,
            Self::Budget(budget) => amount(*budget),
        }
    }
}

fn amount(budget: Budget) -> u64 {
    match budget.amount {
        Amount::Tokens(most) | Amount::NanoUsd(most) => most,
    }
}

impl State {
    fn new(measure: Measure) -> Arc<Self> {
        Arc::new(Self {
            gcra: Gcra::default(),
            slots: Limit::new(usize::MAX),
            spent: Spent::default(),
            lease: Lease::new(measure.most()),
            refused: AtomicU64::new(0),
        })
    }
}

impl Limiter {
    pub(in crate::admit) fn new(
        owner: &Arc<str>,
        measure: Measure,
        state: Option<Arc<State>>,
        sharing: Option<&Arc<Sharing>>,
    ) -> Self {
        let (owner, sharing) = (Arc::clone(owner), sharing.map(Arc::clone));
        Self { owner, measure, state: state.unwrap_or_else(|| State::new(measure)), sharing }
    }

    /// Whose it is, as people read it: `client app-a` or `client group team-a`.
    pub fn owner(&self) -> &str {
        &self.owner
    }

    /// What is limited, and to what.
    pub fn measure(&self) -> Measure {
        self.measure
    }

    /// By which it is found again after a restart, and by other processes: `client app-a/rpm`. A budget of another
    /// period is another one.
    pub fn key(&self) -> String {
        match self.measure {
            Measure::Budget(Budget { per, .. }) => {
                format!("{}/{}/{per}", self.owner, self.measure.name())
            }
            _ => format!("{}/{}", self.owner, self.measure.name()),
        }
    }

    pub(in crate::admit) fn state(&self) -> &Arc<State> {
        &self.state
    }

    /// Requests that it refused.
    pub fn refused(&self) -> u64 {
        self.state.refused.load(Relaxed)
    }

    pub(in crate::admit) fn count_refusal(&self) {
        self.state.refused.fetch_add(1, Relaxed);
    }

    /// What the processes that share it have in common; `None` where nobody shares it.
    pub(in crate::admit) fn sharing(&self) -> Option<&Sharing> {
        self.sharing.as_deref()
    }

    /// Nothing of it is granted, since nobody knows what others took.
    pub(super) fn is_denied(&self) -> bool {
        self.standing().is_some_and(|(standing, _)| standing == Standing::Deny)
    }

    /// How it stands with other processes; `None` where there are none.
    fn standing(&self) -> Option<(Standing, u64)> {
        let sharing = self.sharing.as_deref()?;
        Some((sharing.standing(), sharing.instances()))
    }

    /// This process's own part of a rate.
    fn own(&self, rate: Rate) -> Rate {
        let parts = self.standing().map_or(1, |(_, instances)| instances);
        rate.with((rate.per_minute() / parts).max(1))
    }

    /// Takes `units`, or none. Of requests all must be there; of tokens and money one is enough, since what a
    /// request costs is known only at its end.
    ///
    /// # Errors
    /// It is used up, and for how many nanoseconds that is so if nothing else happens.
    pub(super) fn take(&self, units: u64, now: Now) -> Result<Account, Option<u64>> {
        let needed = if matches!(self.measure, Measure::Requests(_)) { units } else { 1 };
        match self.standing() {
            Some((Standing::Allow, _)) => Ok(Account::Nobody),
            Some((Standing::Deny, _)) => Err(None),
            Some((Standing::Leased, _)) => {
                self.begin(now.unix);
                let fits = self.take_leased(units, needed);
                if fits { Ok(Account::Leased) } else { Err(self.leased_wait(now)) }
            }
            Some((Standing::Local, _)) | None => self.take_own(units, now).map(|()| Account::Own),
        }
    }

    /// Of a budget that is leased: it is about this time. The period that holds; 0 of what has none.
    pub(super) fn begin(&self, unix: u64) -> u64 {
        let Measure::Budget(budget) = self.measure else { return 0 };
        self.state.lease.begin(budget::period(budget.per, unix), amount(budget))
    }

    fn take_leased(&self, units: u64, needed: u64) -> bool {
        let fits = self.state.lease.take(units, needed);
        if let Some(sharing) = &self.sharing
            && self.state.lease.is_low()
        {
            sharing.hurry();
        }
        fits
    }

    fn take_own(&self, units: u64, now: Now) -> Result<(), Option<u64>> {
        let state = &*self.state;
        let wait = |short: Short| Some(short.wait);
        match self.measure {
            Measure::Requests(rate) => {
                state.gcra.take(units, self.own(rate), now.nanos).map_err(wait)
            }
            Measure::Tokens(rate) => {
                state.gcra.take_any(units, self.own(rate), now.nanos).map_err(wait)
            }
            Measure::Concurrent(_) => Err(None),
            Measure::Budget(budget) => {
                let parts = self.standing().map_or(1, |(_, instances)| instances);
                let period = budget::period(budget.per, now.unix);
                let fits = state.spent.reserve(units, amount(budget) / parts, period);
                if fits { Ok(()) } else { Err(self.opens(now)) }
            }
        }
    }

    /// A place among the requests in flight that somebody else counts.
    pub(super) fn enter_counted(&self) -> Option<LimitGuard> {
        self.state.slots.with(usize::MAX).enter()
    }

    /// A place among the requests in flight.
    pub(super) fn enter(&self, most: usize) -> Option<(Account, LimitGuard)> {
        let (account, most) = match self.standing() {
            None => (Account::Own, most),
            Some((Standing::Local, parts)) => {
                (Account::Own, (most / usize::try_from(parts).unwrap_or(usize::MAX)).max(1))
            }
            Some((Standing::Allow, _)) => (Account::Nobody, usize::MAX),
            Some((Standing::Leased, _)) => {
                // Counted first: what is told in between is one too many rather than one too few.
                let guard = self.enter_counted()?;
                return self.take_leased(1, 1).then_some((Account::Leased, guard));
            }
            Some((Standing::Deny, _)) => return None,
        };
        Some((account, self.state.slots.with(most).enter()?))
    }

    /// What was taken at the time of `since` is settled: it is given back, and `used` is charged in its place. Where a
    /// budget's period is over by now, what was taken stays in that.
    pub(super) fn settle(&self, account: Account, taken: u64, used: u64, since: Now, now: Now) {
        let state = &*self.state;
        match (account, self.measure) {
            (Account::Nobody | Account::Own, Measure::Concurrent(_)) => {
                if self.sharing.is_some() {
                    state.lease.touch(); // the others may have been told that it is held
                }
            }
            (Account::Nobody, _) => {}
            (Account::Leased, _) => {
                let used = i64::try_from(used).unwrap_or(i64::MAX);
                let taken = if self.is_over(since, now) { 0 } else { taken };
                state.lease.charge(used.saturating_sub_unsigned(taken));
            }
            (Account::Own, Measure::Requests(rate) | Measure::Tokens(rate)) => {
                let rate = self.own(rate);
                state.gcra.give_back(taken.saturating_sub(used), rate);
                state.gcra.charge(used.saturating_sub(taken), rate, now.nanos);
            }
            (Account::Own, Measure::Budget(budget)) => {
                state.spent.release(taken);
                state.spent.spend(used, budget::period(budget.per, now.unix));
            }
        }
    }

    /// The period of `since` is over.
    fn is_over(&self, since: Now, now: Now) -> bool {
        let Measure::Budget(budget) = self.measure else { return false };
        self.begin(now.unix);
        self.state.lease.period() > budget::period(budget.per, since.unix)
    }

    /// What is left of it now, and in how many nanoseconds it is all there again.
    pub fn level(&self, now: Now) -> Level {
        let most = i64::try_from(self.measure.most()).unwrap_or(i64::MAX);
        if let Some((Standing::Leased, _)) = self.standing() {
            let left = self.state.lease.available();
            let missing = u64::try_from(most - left).unwrap_or(0);
            return Level { left, full_in: self.flows_in(missing) };
        }
        match self.measure {
            Measure::Requests(rate) | Measure::Tokens(rate) => {
                self.state.gcra.level(self.own(rate), now.nanos)
            }
            Measure::Concurrent(most) => {
                let taken = i64::try_from(self.state.slots.taken()).unwrap_or(i64::MAX);
                Level { left: i64::try_from(most).unwrap_or(i64::MAX) - taken, full_in: 0 }
            }
            Measure::Budget(budget) => Level {
                left: self.state.spent.left(amount(budget), budget::period(budget.per, now.unix)),
                full_in: self.opens(now).unwrap_or(u64::MAX),
            },
        }
    }

    /// How long these many units take to flow in.
    fn flows_in(&self, units: u64) -> u64 {
        match self.measure {
            Measure::Requests(rate) | Measure::Tokens(rate) => rate.time(units),
            Measure::Concurrent(_) | Measure::Budget(_) => 0,
        }
    }

    fn leased_wait(&self, now: Now) -> Option<u64> {
        let missing = 1_i64.saturating_sub(self.state.lease.available());
        match self.measure {
            Measure::Budget(_) => self.opens(now),
            Measure::Concurrent(_) => None,
            // Where others left some of it, this process is granted its part soon.
            _ => Some(u64::try_from(missing).map_or(0, |missing| self.flows_in(missing)).max(SOON)),
        }
    }

    /// When a budget begins anew.
    fn opens(&self, now: Now) -> Option<u64> {
        let Measure::Budget(budget) = self.measure else { return None };
        budget::ends_in(budget.per, now.unix).map(|seconds| seconds * 1_000_000_000)
    }
}

/// Nanoseconds until a process is granted its part again, about.
const SOON: u64 = 100_000_000;

impl fmt::Display for Limiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {}", self.owner, self.measure.name())
    }
}
