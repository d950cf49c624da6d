//! What is counted of streams and events that are shared by Redis. Not of the data path: hence atomics and a lock.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// Each stands at zero before it is first counted.
const REASONS: [&str; 3] = ["connection", "timeout", "answer"];

/// Of the process, whatever servers it used since its start.
#[derive(Debug, Default)]
pub struct FanoutMeters {
    /// The configuration shares streams or events, or did.
    used: AtomicBool,
    connected: AtomicBool,
    own: AtomicU64,
    mirrored: AtomicU64,
    names: AtomicU64,
    unshared: AtomicU64,
    errors: Mutex<BTreeMap<&'static str, u64>>,
}

impl FanoutMeters {
    /// The configuration shares streams or events.
    pub fn configured(&self) {
        self.used.store(true, Ordering::Relaxed);
    }

    /// Whether they are shared just now.
    pub fn connected(&self, now: bool) {
        self.connected.store(now, Ordering::Relaxed);
    }

    /// Why something could not be had of the server.
    pub fn failed(&self, why: &'static str) {
        *self.errors.lock().unwrap_or_else(PoisonError::into_inner).entry(why).or_default() += 1;
    }

    /// Streams of this process that are being written, and those of others that are being read.
    pub fn streams(&self, own: usize, mirrored: usize) {
        self.own.store(own as u64, Ordering::Relaxed);
        self.mirrored.store(mirrored as u64, Ordering::Relaxed);
    }

    /// Names of events that are being read.
    pub fn names(&self, names: usize) {
        self.names.store(names as u64, Ordering::Relaxed);
    }

    /// A stream went on without others having it.
    pub fn unshared(&self) {
        self.unshared.fetch_add(1, Ordering::Relaxed);
    }

    pub(in crate::record) fn is_used(&self) -> bool {
        self.used.load(Ordering::Relaxed)
    }

    pub(in crate::record) fn is_connected(&self) -> bool {
        self.connected.load(Ordering::Relaxed)
    }

    /// Own streams, mirrored ones, names.
    pub(in crate::record) fn gauges(&self) -> [u64; 3] {
        [&self.own, &self.mirrored, &self.names].map(|gauge| gauge.load(Ordering::Relaxed))
    }

    pub(in crate::record) fn streams_unshared(&self) -> u64 {
        self.unshared.load(Ordering::Relaxed)
    }

    pub(in crate::record) fn errors(&self) -> [(&'static str, u64); REASONS.len()] {
        let errors = self.errors.lock().unwrap_or_else(PoisonError::into_inner);
        REASONS.map(|reason| (reason, errors.get(reason).copied().unwrap_or(0)))
    }
}
