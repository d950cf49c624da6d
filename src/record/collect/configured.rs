//! Which configuration is in force, and how often it was changed.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::record::export::prometheus::{Kind, Text};

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

    pub(in crate::record) fn show(&self, text: &mut Text) {
        let name = "firstbyte_reloads_total";
        text.family(name, Kind::Counter, "Reloads of the configuration, by what became of them.");
        text.sample(name, &[("result", "applied")], self.applied.load(Ordering::Relaxed));
        text.sample(name, &[("result", "refused")], self.refused.load(Ordering::Relaxed));
        let in_force = self.in_force.lock().unwrap_or_else(PoisonError::into_inner);
        let since = in_force.since.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
        let help = "When the configuration in force was applied, since the Unix epoch, in seconds.";
        text.single("firstbyte_config_applied_timestamp_seconds", Kind::Gauge, help, since);
        let name = "firstbyte_config_info";
        text.family(name, Kind::Gauge, "Always 1; the beginning of the file's SHA-256.");
        text.sample(name, &[("sha256", &in_force.digest)], 1);
    }
}
