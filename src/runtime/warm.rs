//! When a worker is ready to serve.

use std::cell::Cell;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::task::Poll;
use std::time::Duration;

use tokio::task::JoinHandle;

use crate::admin::Readiness;
use crate::config::{Config, Target, UpstreamId};
use crate::upstream::Pool;

/// How many workers have warmed their pools, for those who wait without polling.
#[derive(Default)]
pub(super) struct Warmed {
    workers: Mutex<usize>,
    changed: Condvar,
}

impl Warmed {
    /// One worker more has its minimum of connections to every upstream.
    pub(super) fn one_more(&self) {
        // Poisoned only if a thread panicked while it counted; the count still stands.
        *self.workers.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.changed.notify_all();
    }

    /// Waits for `all` of them, at most `within`; `false` if that passed.
    pub(super) fn wait(&self, all: usize, within: Duration) -> bool {
        let workers = self.workers.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.changed.wait_timeout_while(workers, within, |n| *n < all);
        *waited.unwrap_or_else(PoisonError::into_inner).0 >= all
    }
}

/// Tells when a worker is ready for the first time. Once ready it stays so: a reload warms what is new
/// before it counts.
pub(super) struct Warming {
    worker: usize,
    readiness: Arc<Readiness>,
    warmed: Arc<Warmed>,
    is_warm: Rc<Cell<bool>>,
    task: Option<JoinHandle<()>>,
}

impl Warming {
    pub(super) fn new(worker: usize, readiness: Arc<Readiness>, warmed: Arc<Warmed>) -> Self {
        Self { worker, readiness, warmed, is_warm: Rc::default(), task: None }
    }

    /// From now on these pools are waited for: those before may be of an upstream that is gone, and never
    /// warm.
    pub(super) fn follow(&mut self, config: Arc<Config>, pools: Vec<Rc<Pool>>) {
        if self.is_warm.get() {
            return;
        }
        if let Some(before) = self.task.take() {
            before.abort();
        }
        let (worker, is_warm) = (self.worker, Rc::clone(&self.is_warm));
        let (readiness, warmed) = (Arc::clone(&self.readiness), Arc::clone(&self.warmed));
        self.task = Some(tokio::task::spawn_local(async move {
            warm(&config, &pools).await;
            is_warm.set(true);
            readiness.set_worker(worker, true);
            warmed.one_more();
        }));
    }
}

/// Returns once every upstream has its minimum of connections; or, where groups have somebody else to
/// ask, once each group has one member that is warm and the rest had the time of one connect. An upstream
/// that is down must not keep a proxy out of service that can do without it.
async fn warm(config: &Config, pools: &[Rc<Pool>]) {
    tokio::select! {
        () = each(pools.iter()) => {}
        () = enough(config, pools) => {}
    }
}

async fn enough(config: &Config, pools: &[Rc<Pool>]) {
    let needed = pools.iter().enumerate().filter(|(id, _)| is_needed(config, UpstreamId(*id)));
    each(needed.map(|(_, pool)| pool)).await;
    for group in &config.groups {
        let takes = group.members.iter().filter(|member| member.weight > 0);
        any(takes.filter_map(|member| pools.get(member.upstream.0))).await;
    }
    let connect = pools.iter().map(|pool| pool.settings().deadlines.connect).max();
    tokio::time::sleep(connect.unwrap_or(Duration::ZERO)).await;
}

/// Nobody stands in for it.
fn is_needed(config: &Config, id: UpstreamId) -> bool {
    let target = Target::Upstream(id);
    let mut groups = config.groups.iter();
    config.routes.iter().any(|route| route.target == target)
        || !groups.any(|group| group.members.iter().any(|member| member.upstream == id))
}

async fn each<'a>(pools: impl Iterator<Item = &'a Rc<Pool>>) {
    for pool in pools {
        pool.warm().await;
    }
}

async fn any<'a>(pools: impl Iterator<Item = &'a Rc<Pool>>) {
    type Warming<'a> = Pin<Box<dyn Future<Output = ()> + 'a>>;
    let mut warming: Vec<_> = pools.map(|pool| Box::pin(pool.warm()) as Warming<'_>).collect();
    std::future::poll_fn(|cx| {
        let warm = warming.iter_mut().any(|one| one.as_mut().poll(cx).is_ready());
        if warm { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}
