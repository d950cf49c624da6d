//! The ledgers of all limits in use, and which of them have something to say.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::ledger::{Handle, Ledger};
use super::script::{Ask, Sort, Take, Told};
use super::takes::Takes;
use crate::admit::{Directory, Limiter};

/// When it is, on all clocks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Now {
    pub(super) instant: Instant,
    /// Nanoseconds on the process's own clock, by which its buckets go.
    pub(super) nanos: u64,
    /// Unix time in seconds.
    pub(super) unix: u64,
}

/// How keys are made.
#[derive(Debug, Clone)]
pub(super) struct Naming {
    pub(super) prefix: String,
    /// This instance's name.
    pub(super) me: String,
    /// All keys in one slot of a cluster, so that one script can have those of several limits.
    pub(super) one_slot: bool,
}

/// By the limits' keys.
pub(super) struct Books {
    naming: Naming,
    /// Whose limits they are, and by which clock they go.
    directory: Arc<Directory>,
    limits: HashMap<String, Handle>,
    ledgers: HashMap<String, Ledger>,
    /// Of ledgers ever made, so that no two count their reports alike.
    made: u64,
    instances: u64,
    takes: Takes,
}

impl Naming {
    /// The state of a limit, and this instance's mark beside it.
    fn of(&self, key: &str) -> [String; 2] {
        let prefix = &self.prefix;
        let state = if self.one_slot {
            format!("{{{prefix}}}:{key}")
        } else {
            format!("{prefix}:{{{key}}}")
        };
        let mark = format!("{state}:{}", self.me);
        [state, mark]
    }

    /// Where this instance's takes are.
    fn takes(&self) -> String {
        let Self { prefix, me, one_slot } = self;
        if *one_slot {
            format!("{{{prefix}}}:takes:{me}")
        } else {
            format!("{prefix}:{{takes}}:{me}")
        }
    }

    /// Where the instances are.
    pub(super) fn instances(&self) -> String {
        format!("{}:{{instances}}", self.prefix)
    }
}

impl Books {
    pub(super) fn new(naming: Naming, directory: Arc<Directory>) -> Self {
        let (limits, ledgers) = (HashMap::new(), HashMap::new());
        let takes = Takes::default();
        Self { naming, directory, limits, ledgers, made: 0, instances: 1, takes }
    }

    /// By the clock of the configuration that these limits are of: one that has no budget looks at no calendar.
    pub(super) fn now(&self) -> Now {
        let instant = Instant::now();
        let crate::admit::Now { nanos, unix } = self.directory.now(instant);
        Now { instant, nanos, unix }
    }

    /// From now on they are at another server, or under other names there. What is known of them is told there, as to a
    /// server that lost it.
    pub(super) fn move_to(&mut self, naming: Naming) {
        self.naming = naming;
        self.takes.forget();
        for (key, ledger) in &mut self.ledgers {
            ledger.move_to(self.naming.of(key));
        }
    }

    pub(super) fn instances(&self) -> u64 {
        self.instances
    }

    /// There are limits to share at all.
    pub(super) fn has_limits(&self) -> bool {
        !self.limits.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.ledgers.len()
    }

    /// These are the limits from now on. Budgets are looked up at once: what was spent before this process began must
    /// not be spent again.
    pub(super) fn follow(&mut self, directory: Arc<Directory>) {
        self.directory = directory;
        let now = self.now();
        let handles = self.directory.callers().iter().flat_map(Handle::all);
        self.limits = handles.filter_map(|one| Some((one.get()?.key(), one))).collect();
        let all = &self.limits;
        self.ledgers.retain(|key, ledger| match all.get(key) {
            Some(limiter) => {
                ledger.follow(limiter.clone());
                true
            }
            None => false,
        });
        let budgets = self.limits.iter().filter(|(_, limit)| limit.is_budget());
        let keys: Vec<_> = budgets.map(|(key, _)| key.clone()).collect();
        for key in keys {
            self.ledger(&key, now);
        }
    }

    /// There are so many instances. What nobody has used is shared among them anew.
    pub(super) fn share_among(&mut self, instances: u64) {
        if instances == self.instances {
            return;
        }
        self.instances = instances;
        self.grant_unused();
    }

    /// What nobody has used is full: each has its part.
    pub(super) fn grant_unused(&self) {
        let unused = self.limits.iter().filter(|(key, limit)| {
            // One that is touched is told of next, and granted what is left then.
            !self.ledgers.contains_key(*key) && !limit.get().is_some_and(Limiter::is_touched)
        });
        unused.for_each(|(_, limit)| limit.grant_full(self.instances));
    }

    /// Looks at all limits, or at those in use, for what was taken of them.
    pub(super) fn collect(&mut self, all: bool, now: Now) {
        if all {
            // The cheaper question first: most are not.
            let touched = self.limits.iter();
            let touched = touched.filter(|(_, limit)| limit.get().is_some_and(Limiter::is_touched));
            let touched = touched.filter(|(key, _)| !self.ledgers.contains_key(*key));
            let keys: Vec<_> = touched.map(|(key, _)| key.clone()).collect();
            for key in keys {
                self.ledger(&key, now);
            }
        }
        for ledger in self.ledgers.values_mut() {
            ledger.collect(now.instant, now.unix);
        }
    }

    /// What is to be said now; `everything` in use after a silence.
    pub(super) fn asks(
        &mut self,
        everything: bool,
        beat: Duration,
        now: Now,
    ) -> Vec<(String, Ask)> {
        let mut asks = Vec::new();
        for (key, ledger) in &mut self.ledgers {
            if everything || ledger.is_due(now.instant, beat) {
                asks.extend(ledger.ask(now.instant, now.unix).map(|ask| (key.clone(), ask)));
            }
        }
        asks
    }

    /// What is left to say at the end: what was taken, and that no slot is held any more.
    pub(super) fn farewell(&mut self, now: Now) -> Vec<(String, Ask)> {
        let mut asks = self.asks(true, Duration::ZERO, now);
        for (_, ask) in asks.iter_mut().filter(|(_, ask)| matches!(ask.sort, Sort::Slots { .. })) {
            ask.n = 0;
        }
        asks
    }

    /// Something was taken that is in no report.
    pub(super) fn owes(&self) -> bool {
        self.ledgers.values().any(Ledger::owes)
    }

    /// What to ask before a request that takes these many of each. `None` where one of them is not of this
    /// configuration any more.
    pub(super) fn wants(&mut self, of: &[(String, u64)], now: Now) -> Option<(Take, Vec<Ask>)> {
        let mut asks = Vec::with_capacity(of.len());
        for (key, units) in of {
            asks.push(self.ledger(key, now)?.want(*units, now.instant, now.unix)?);
        }
        Some((self.takes.begin(self.naming.takes()), asks))
    }

    /// It is known what became of a take.
    pub(super) fn settle(&mut self, take: &Take) {
        self.takes.settle(take.number);
    }

    /// It is not known: what it took, if it took anything, is to be given back.
    pub(super) fn lose(&mut self, of: &[(String, u64)], take: Take, asks: Vec<Ask>) {
        for ((key, _), _) in of.iter().zip(&asks).filter(|(_, ask)| ask.is_slots()) {
            if let Some(ledger) = self.ledgers.get_mut(key) {
                ledger.give_back(1);
            }
        }
        self.takes.lose(take, asks);
    }

    /// Takes that were lost, and what to give back of each.
    pub(super) fn lost_takes(&self) -> Vec<(Take, Vec<Ask>)> {
        self.takes.lost()
    }

    /// What was taken for a request that is not there any more.
    pub(super) fn give_back(&mut self, of: &[(String, u64)]) {
        for (key, units) in of {
            if let Some(ledger) = self.ledgers.get_mut(key) {
                ledger.give_back(*units);
            }
        }
    }

    /// What the server said of limits beside a request.
    pub(super) fn learn(&mut self, of: &[(String, u64)], asks: &[Ask], told: Vec<Told>, now: Now) {
        for (((key, _), ask), told) in of.iter().zip(asks).zip(told) {
            if let Some(ledger) = self.ledgers.get_mut(key) {
                ledger.learn(told, ask.period, self.instances, now.instant);
                ledger.look();
            }
        }
    }

    /// What the server says of a limit.
    pub(super) fn heard(&mut self, key: &str, told: Told, now: Now) {
        let instances = self.instances;
        if let Some(ledger) = self.ledgers.get_mut(key) {
            ledger.heard(told, instances, now.instant);
        }
    }

    /// Grants what flowed in, and forgets what is full again. The largest overshoot of those in use.
    pub(super) fn rest(&mut self, now: Now) -> f64 {
        let (instances, mut largest) = (self.instances, 0.0_f64);
        self.ledgers.retain(|_, ledger| {
            let idle = !ledger.is_due(now.instant, Duration::MAX);
            let stays = !idle || ledger.rest(instances, now.instant);
            if stays {
                largest = largest.max(ledger.overshoot(instances));
            }
            stays
        });
        largest
    }

    /// The server is lost: each limit goes on from what was known of it.
    pub(super) fn fall_back(&mut self, now: Now) {
        let instances = self.instances;
        for ledger in self.ledgers.values_mut() {
            ledger.fall_back(instances, now.instant, now.nanos, now.unix);
        }
    }

    /// Nobody shares them any more: this process goes on from all that was used, not from its part of that.
    pub(super) fn stand_alone(&mut self, now: Now) {
        self.instances = 1;
        self.fall_back(now);
    }

    fn ledger(&mut self, key: &str, now: Now) -> Option<&mut Ledger> {
        if !self.ledgers.contains_key(key) {
            let limit = self.limits.get(key)?.clone();
            self.made += 1;
            let keys = self.naming.of(key);
            let ledger = Ledger::new(limit, keys, self.made << 32, now.instant, now.unix);
            self.ledgers.insert(key.to_owned(), ledger);
        }
        self.ledgers.get_mut(key)
    }
}
