//! What the thread that resolves names counts. Not of the data path: hence atomics, shared with the hub.

use std::sync::atomic::{AtomicU64, Ordering};

/// What is counted of one upstream's name.
#[derive(Debug, Default)]
pub struct DnsMeters {
    failures: AtomicU64,
    changes: AtomicU64,
    addresses: AtomicU64,
}

impl DnsMeters {
    /// The name did not resolve.
    pub fn failed(&self) {
        self.failures.fetch_add(1, Ordering::Relaxed);
    }

    /// It resolves to other addresses than before.
    pub fn changed(&self) {
        self.changes.fetch_add(1, Ordering::Relaxed);
    }

    /// How many addresses it has.
    pub fn addresses(&self, now: usize) {
        self.addresses.store(now as u64, Ordering::Relaxed);
    }

    pub(in crate::record) fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }

    pub(in crate::record) fn changes(&self) -> u64 {
        self.changes.load(Ordering::Relaxed)
    }

    pub(in crate::record) fn known(&self) -> u64 {
        self.addresses.load(Ordering::Relaxed)
    }
}
