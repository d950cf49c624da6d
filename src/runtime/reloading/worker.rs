//! A worker's part in a reload: build beside what runs, warm it, and lead requests there when all workers
//! can.

use std::rc::Rc;
use std::sync::{Arc, mpsc as std_mpsc};
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};

use super::build::{Before, Built, next};
use super::tidying;
use crate::accept::Acceptor;
use crate::proxy::Proxy;
use crate::record::Recorder;
use crate::runtime::lister;
use crate::runtime::plan::Plan;
use crate::runtime::prober;
use crate::runtime::warm::Warming;
use crate::upstream::Pool;

/// A reload as one worker is told of it. Dropped before `go`, it never was.
pub(in crate::runtime) struct Change {
    pub(in crate::runtime) before: Arc<Plan>,
    pub(in crate::runtime) after: Arc<Plan>,
    /// Takes the worker's word that it can.
    pub(super) prepared: std_mpsc::SyncSender<Prepared>,
    /// All workers can.
    pub(in crate::runtime) go: oneshot::Receiver<()>,
    pub(in crate::runtime) done: std_mpsc::SyncSender<()>,
}

/// What a worker says before it is told to go.
pub(in crate::runtime) enum Prepared {
    /// It can; these upstreams have no minimum of connections yet.
    Yes { cold: Vec<String> },
    /// The plan was not checked.
    No,
}

/// What a worker swaps.
pub(in crate::runtime) struct ReloadWorker {
    pub(in crate::runtime) worker: usize,
    pub(in crate::runtime) acceptor: Rc<Acceptor>,
    pub(in crate::runtime) recorder: Recorder,
    pub(in crate::runtime) warming: Warming,
}

impl ReloadWorker {
    /// Takes one reload after the other until dropped. One that is dropped half-way changes nothing: its
    /// pools close with it.
    pub(in crate::runtime) async fn serve(mut self, mut changes: mpsc::Receiver<Change>) {
        while let Some(change) = changes.recv().await {
            self.take(change).await;
        }
    }

    async fn take(&mut self, change: Change) {
        let Change { before, after, prepared, go, done } = change;
        let recorder = self.recorder.at(&after.label_ids);
        let old = self.acceptor.proxy();
        let in_force = Before { plan: &before, proxy: &old };
        let Some(Built { proxy, fresh }) = next(&after, in_force, &recorder, self.worker) else {
            let _told = prepared.try_send(Prepared::No);
            return;
        };
        let cold = warm(&fresh).await;
        if prepared.try_send(Prepared::Yes { cold }).is_err() || go.await.is_err() {
            return; // another worker cannot, or nobody waits any more
        }
        commit(&proxy, &old, in_force.plan);
        drop(old);
        let pools = proxy.upstreams.iter().map(|upstream| Rc::clone(&upstream.pool)).collect();
        self.warming.follow(Arc::clone(&after.config), pools);
        self.acceptor.lead_to(Rc::new(proxy), after.doors.clone());
        prober::begin(&self.acceptor);
        lister::begin(&self.acceptor);
        tidying::begin(&self.acceptor, self.worker);
        let _told = done.try_send(());
    }
}

/// What must not be done for a proxy that never gets to serve.
fn commit(proxy: &Proxy, old: &Proxy, before: &Plan) {
    let now = Instant::now();
    proxy.groups.succeed(&old.groups);
    proxy.offers.succeed(&proxy.config, &old.offers, &before.config);
    for (upstream, then) in old.upstreams.iter().zip(&before.config.upstreams) {
        let goes_on = |other: &crate::proxy::Upstream| Rc::ptr_eq(&other.health, &upstream.health);
        if !proxy.upstreams.iter().any(goes_on) {
            tracing::debug!(upstream = then.name, "health history reset");
            upstream.health.retire();
        }
    }
    for (upstream, meant) in proxy.upstreams.iter().zip(&proxy.config.upstreams) {
        upstream.health.adopt(meant, now);
    }
}

/// Starts new pools and waits until each has its minimum of connections, for the time of one connect at
/// most. The names of those that have not.
async fn warm(fresh: &[Rc<Pool>]) -> Vec<String> {
    fresh.iter().for_each(Pool::start);
    let longest = fresh.iter().map(|pool| pool.settings().deadlines.connect).max();
    let deadline = tokio::time::Instant::now() + longest.unwrap_or(Duration::ZERO);
    let mut cold = Vec::new();
    for pool in fresh {
        if tokio::time::timeout_at(deadline, pool.warm()).await.is_err() {
            cold.push(pool.settings().name.clone());
        }
    }
    cold
}
