//! What is counted of limits that are shared by Redis. Not of the data path: hence atomics and a lock.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::record::collect::durations::Durations;

/// Of the process, whatever servers it used since its start.
#[derive(Default)]
pub struct RedisMeters {
    /// The configuration has the section, or had it.
    used: AtomicBool,
    connected: AtomicBool,
    instances: AtomicU64,
    /// In millionths.
    overshoot: AtomicU64,
    limits: AtomicU64,
    by_word: Mutex<BTreeMap<(Counted, &'static str), u64>>,
    syncs: Mutex<Durations>,
}

/// What is counted by a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::record) enum Counted {
    Errors,
    Takes,
}

/// Each stands at zero before it is first counted.
const WORDS: [(Counted, &[&str]); 2] = [
    (Counted::Errors, &["connection", "timeout", "scripts", "answer"]),
    (Counted::Takes, &["granted", "refused", "lost", "undecided"]),
];

impl RedisMeters {
    /// The configuration has the section.
    pub fn configured(&self) {
        self.used.store(true, Ordering::Relaxed);
    }

    /// Whether limits are shared just now, and how many instances share them.
    pub fn connected(&self, now: bool, instances: u64) {
        self.connected.store(now, Ordering::Relaxed);
        self.instances.store(instances, Ordering::Relaxed);
    }

    /// Why something could not be had of the server.
    pub fn failed(&self, why: &'static str) {
        self.count(Counted::Errors, why);
    }

    /// What became of a request that asked the server first: granted, refused, lost, or decided here after all.
    pub fn took(&self, became: &'static str) {
        self.count(Counted::Takes, became);
    }

    /// An exchange about limits was done, and how long that took.
    pub fn synced(&self, took: Duration) {
        self.syncs.lock().unwrap_or_else(PoisonError::into_inner).record(took);
    }

    /// Limits in use, and the most that all instances could take of one of them beyond it, as a part of it.
    pub fn leased(&self, limits: u64, overshoot: f64) {
        self.limits.store(limits, Ordering::Relaxed);
        self.overshoot.store((overshoot * 1e6) as u64, Ordering::Relaxed);
    }

    fn count(&self, what: Counted, word: &'static str) {
        let mut all = self.by_word.lock().unwrap_or_else(PoisonError::into_inner);
        *all.entry((what, word)).or_default() += 1;
    }

    pub(in crate::record) fn is_used(&self) -> bool {
        self.used.load(Ordering::Relaxed)
    }

    pub(in crate::record) fn is_connected(&self) -> bool {
        self.connected.load(Ordering::Relaxed)
    }

    pub(in crate::record) fn instances(&self) -> u64 {
        self.instances.load(Ordering::Relaxed)
    }

    /// Limits in use, and the overshoot.
    pub(in crate::record) fn leases(&self) -> (u64, f64) {
        let overshoot = self.overshoot.load(Ordering::Relaxed) as f64 / 1e6;
        (self.limits.load(Ordering::Relaxed), overshoot)
    }

    pub(in crate::record) fn counted(&self, what: Counted) -> Vec<(&'static str, u64)> {
        let all = self.by_word.lock().unwrap_or_else(PoisonError::into_inner);
        let words = WORDS.iter().filter(|(of, _)| *of == what).flat_map(|(_, words)| *words);
        words.map(|word| (*word, all.get(&(what, *word)).copied().unwrap_or(0))).collect()
    }

    pub(in crate::record) fn with_syncs(&self, show: impl FnOnce(&Durations)) {
        show(&self.syncs.lock().unwrap_or_else(PoisonError::into_inner));
    }
}
