//! Whether traffic should come.

use std::sync::atomic::{AtomicBool, Ordering};

use http::StatusCode;

/// Whether traffic should come: every worker has its warm connections, and none is leaving.
pub struct Readiness {
    workers: Vec<AtomicBool>,
    draining: AtomicBool,
}

impl Readiness {
    /// Not ready until each of `workers` workers says so.
    pub fn new(workers: usize) -> Readiness {
        let workers = (0..workers).map(|_| AtomicBool::new(false)).collect();
        Readiness { workers, draining: AtomicBool::new(false) }
    }

    /// What a worker says of itself; an index out of range is let fall.
    pub fn set_worker(&self, worker: usize, ready: bool) {
        if let Some(state) = self.workers.get(worker) {
            state.store(ready, Ordering::Release);
        }
    }

    /// From now on never ready again.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Release);
    }

    /// All workers ready and no drain begun.
    pub fn is_ready(&self) -> bool {
        !self.draining.load(Ordering::Acquire) && self.ready_workers() == self.workers.len()
    }

    fn ready_workers(&self) -> usize {
        self.workers.iter().filter(|state| state.load(Ordering::Acquire)).count()
    }

    /// As `/readyz` tells it.
    pub(super) fn report(&self) -> (StatusCode, String) {
        let (ready, all) = (self.ready_workers(), self.workers.len());
        let (status, reason) = if self.draining.load(Ordering::Acquire) {
            (StatusCode::SERVICE_UNAVAILABLE, "draining")
        } else if ready < all {
            (StatusCode::SERVICE_UNAVAILABLE, "workers are warming their connections")
        } else {
            (StatusCode::OK, "ready")
        };
        let report = serde_json::json!({
            "ready": status == StatusCode::OK,
            "reason": reason,
            "workers_ready": ready,
            "workers": all,
        });
        (status, format!("{report}\n"))
    }
}
