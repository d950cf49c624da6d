//! What clients used, and what their limits stand at, over reloads: the counters that are kept.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::admit::{Caller, Directory, Limiter};
use crate::runtime::reloading::reloader::Reloader;
use crate::store::{Balance, Cells, Kept, Source};

/// The clients of the configuration in force, and those that it has no more.
pub(super) struct Counted {
    reloader: Arc<Reloader>,
    gone: Mutex<Gone>,
}

/// What requests came to of clients that a reload took away.
#[derive(Default)]
struct Gone {
    /// As of the last look.
    known: Option<Arc<Directory>>,
    /// Some of their requests still run.
    leaving: Vec<Arc<Caller>>,
    /// Of those of which none does.
    left: HashMap<(String, String), Cells>,
}

impl Counted {
    pub(super) fn new(reloader: Arc<Reloader>) -> Self {
        Self { reloader, gone: Mutex::default() }
    }
}

impl Gone {
    /// Takes up those that the directory in force has no more, and puts away those of which no request runs.
    fn follow(&mut self, now: Option<&Arc<Directory>>) {
        let is_same = match (&self.known, now) {
            (Some(before), Some(now)) => Arc::ptr_eq(before, now),
            (None, None) => true,
            _ => false,
        };
        if !is_same {
            let before = std::mem::replace(&mut self.known, now.cloned());
            let names: HashSet<&str> =
                now.iter().flat_map(|now| now.callers()).map(|one| &**one.name()).collect();
            let callers = before.iter().flat_map(|before| before.callers());
            let leaving = callers.filter(|one| !names.contains(&**one.name()));
            self.leaving.extend(leaving.cloned());
        }
        let left = &mut self.left;
        self.leaving.retain(|caller| {
            // Asked before it is read: nobody else charges it by then.
            let is_last = Arc::strong_count(caller) == 1;
            if is_last {
                used(caller, &mut |client, model, cells| {
                    left.entry((client.to_owned(), model.to_owned())).or_default().add(cells);
                });
            }
            !is_last
        });
    }
}

fn used(caller: &Caller, each: &mut dyn FnMut(&str, &str, Cells)) {
    caller.spending().each(|model, cells| {
        let cells = Cells {
            requests: cells.requests.load(Relaxed),
            input: cells.input.load(Relaxed),
            cached: cells.cached.load(Relaxed),
            output: cells.output.load(Relaxed),
            cost: cells.cost.load(Relaxed),
            estimated: cells.estimated.load(Relaxed),
        };
        each(caller.name(), model, cells);
    });
}

/// What was spent of a budget, and when. Nothing of one that processes share: the server keeps that, and would be told
/// once more what it knows.
fn kept_here(limiter: &Limiter, unix: u64) -> Option<(u64, u64)> {
    if limiter.is_shared() { None } else { limiter.spent(unix) }
}

impl Source for Counted {
    fn usage(&self, each: &mut dyn FnMut(&str, &str, Cells)) {
        let directory = self.reloader.clients();
        let mut gone = self.gone.lock().unwrap_or_else(PoisonError::into_inner);
        gone.follow(directory.as_ref());
        let callers = directory.iter().flat_map(|directory| directory.callers());
        if gone.leaving.is_empty() && gone.left.is_empty() {
            callers.for_each(|caller| used(caller, each));
            return;
        }
        // A name can be there twice: taken away by one reload, and brought back by another.
        let mut all = gone.left.clone();
        for caller in callers.chain(&gone.leaving) {
            used(caller, &mut |client, model, cells| {
                all.entry((client.to_owned(), model.to_owned())).or_default().add(cells);
            });
        }
        for ((client, model), cells) in &all {
            each(client, model, *cells);
        }
    }

    fn budgets(&self, unix: u64, each: &mut dyn FnMut(&str, Balance)) {
        let directory = self.reloader.clients();
        let gone = self.gone.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut known, leaving) = (HashSet::new(), !gone.leaving.is_empty());
        for limiter in directory.iter().flat_map(|directory| directory.limiters()) {
            let Some((spent, period)) = kept_here(limiter, unix) else { continue };
            let key = limiter.key();
            each(&key, Balance { period, spent });
            if leaving {
                known.insert(key);
            }
        }
        for limiter in gone.leaving.iter().flat_map(|caller| caller.limiters()) {
            let Some((spent, period)) = kept_here(limiter, unix) else { continue };
            let key = limiter.key();
            if !known.contains(&key) {
                each(&key, Balance { period, spent });
                known.insert(key);
            }
        }
    }

    fn buckets(&self, each: &mut dyn FnMut(&str, Duration)) {
        let Some(directory) = self.reloader.clients() else { return };
        let now = directory.now(Instant::now()).nanos;
        for limiter in directory.limiters() {
            if let Some(full_at) = limiter.full_at() {
                each(&limiter.key(), Duration::from_nanos(full_at.saturating_sub(now)));
            }
        }
    }

    fn add(&self, kept: &Kept, unix: u64) {
        let Some(directory) = self.reloader.clients().filter(|_| !kept.is_empty()) else { return };
        let now = directory.now(Instant::now()).nanos;
        let limiters: HashMap<_, _> =
            directory.limiters().map(|limiter| (limiter.key(), limiter)).collect();
        for (key, Balance { period, spent }) in &kept.budgets {
            if let Some(limiter) = limiters.get(key).filter(|limiter| !limiter.is_shared()) {
                limiter.restore_spent(*spent, *period, unix);
            }
        }
        for (key, more) in &kept.buckets {
            if let Some(limiter) = limiters.get(key)
                && let Some(full_at) = limiter.full_at()
            {
                let more = u64::try_from(more.as_nanos()).unwrap_or(u64::MAX);
                limiter.restore_full_at(full_at.max(now).saturating_add(more));
            }
        }
    }
}
