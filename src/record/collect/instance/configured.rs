//! Which configuration is in force, and how often it was changed.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

/// Since the start of the process.
pub(in crate::record) struct Configured {
    applied: AtomicU64,
    refused: AtomicU64,
    in_force: Mutex<InForce>,
}

struct InForce {
    digest: String,
    since: SystemTime,
}

impl Default for Configured {
    fn default() -> Configured {
        let in_force = InForce { digest: String::new(), since: SystemTime::now() };
        Configured {
            applied: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            in_force: Mutex::new(in_force),
        }
    }
}

impl Configured {
    /// The process began with this one.
    pub(in crate::record) fn begun(&self, digest: &str) {
        let mut in_force = self.in_force.lock().unwrap_or_else(PoisonError::into_inner);
        *in_force = InForce { digest: digest.to_owned(), since: SystemTime::now() };
    }

    pub(in crate::record) fn applied(&self, digest: &str) {
        self.begun(digest);
        self.applied.fetch_add(1, Ordering::Relaxed);
    }

    pub(in crate::record) fn refused(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }

    /// Reloads that were applied, and that were refused.
    pub(in crate::record) fn reloads(&self) -> (u64, u64) {
        (self.applied.load(Ordering::Relaxed), self.refused.load(Ordering::Relaxed))
    }

    /// The digest of what is in force, and since when it is.
    pub(in crate::record) fn in_force(&self) -> (String, SystemTime) {
        let in_force = self.in_force.lock().unwrap_or_else(PoisonError::into_inner);
        (in_force.digest.clone(), in_force.since)
    }
}
