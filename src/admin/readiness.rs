//! Whether traffic should come, and what is missing.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use http::StatusCode;

/// Whether traffic should come: every worker has its warm connections, or the best that there is, and none
/// is leaving.
pub struct Readiness {
    workers: Vec<Worker>,
    draining: AtomicBool,
}

#[derive(Default)]
struct Worker {
    ready: AtomicBool,
    lacks: Mutex<Lacks>,
}

/// What a worker is without just now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lacks {
    /// Names of upstreams to which it has no connection.
    pub upstreams: Vec<String>,
    /// Paths of routes that lead to such upstreams only.
    pub routes: Vec<String>,
    /// These are all the routes that there are.
    pub everything: bool,
}

impl Readiness {
    /// Not ready until each of `workers` workers says so.
    pub fn new(workers: usize) -> Readiness {
        let workers = (0..workers).map(|_| Worker::default()).collect();
        Readiness { workers, draining: AtomicBool::new(false) }
    }

    /// What a worker says of itself; an index out of range is let fall.
    pub fn set_worker(&self, worker: usize, ready: bool) {
        if let Some(worker) = self.workers.get(worker) {
            worker.ready.store(ready, Ordering::Release);
        }
    }

    /// What a worker is without; as for [`Readiness::set_worker`].
    pub fn set_lacks(&self, worker: usize, lacks: Lacks) {
        if let Some(worker) = self.workers.get(worker) {
            *worker.lacks.lock().unwrap_or_else(PoisonError::into_inner) = lacks;
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

    /// Whether a request could be answered by an upstream just now, of whatever route.
    pub fn answers(&self) -> bool {
        !self.workers.iter().all(|worker| worker.lacks().everything)
    }

    fn ready_workers(&self) -> usize {
        self.workers.iter().filter(|worker| worker.ready.load(Ordering::Acquire)).count()
    }

    /// As `/readyz` tells it.
    pub(super) fn report(&self) -> (StatusCode, String) {
        let (ready, all) = (self.ready_workers(), self.workers.len());
        let (mut upstreams, mut routes) = (BTreeSet::new(), BTreeSet::new());
        for lacks in self.workers.iter().map(Worker::lacks) {
            upstreams.extend(lacks.upstreams);
            routes.extend(lacks.routes);
        }
        let (status, reason) = if self.draining.load(Ordering::Acquire) {
            (StatusCode::SERVICE_UNAVAILABLE, "draining")
        } else if ready < all {
            (StatusCode::SERVICE_UNAVAILABLE, "workers are warming their connections")
        } else if !routes.is_empty() {
            (StatusCode::OK, "ready, but some routes have no connected upstream")
        } else {
            (StatusCode::OK, "ready")
        };
        let report = serde_json::json!({
            "ready": status == StatusCode::OK,
            "reason": reason,
            "workers_ready": ready,
            "workers": all,
            "unconnected_upstreams": upstreams,
            "unanswerable_routes": routes,
        });
        (status, format!("{report}\n"))
    }
}

impl Worker {
    fn lacks(&self) -> Lacks {
        self.lacks.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
