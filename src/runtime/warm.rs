//! When a worker is ready to serve.

use std::cell::Cell;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::task::Poll;
use std::time::Duration;

use tokio::task::JoinHandle;

use crate::accept::Acceptor;
use crate::admin::{Lacks, Readiness};
use crate::config::{Config, Target, UpstreamId};
use crate::upstream::Pool;

/// Between two looks at what is connected. Nobody waits for it: what must be known at once is in the
/// metrics.
const LOOK: Duration = Duration::from_secs(1);

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
            readiness.set_lacks(worker, lacks(&config, &pools));
            readiness.set_worker(worker, true);
            warmed.one_more();
        }));
    }
}

/// Returns once every upstream that a route leads to has its minimum of connections; or, after the time of
/// one connect, once some route has a warm upstream. One that is down must not keep a proxy out of service
/// that can do without it, and one that nobody asks is not waited for at all.
async fn warm(config: &Config, pools: &[Rc<Pool>]) {
    let reached = pools.iter().enumerate().filter(|(id, _)| reaches(config, UpstreamId(*id)));
    let reached: Vec<_> = reached.map(|(_, pool)| pool).collect();
    let connect = reached.iter().map(|pool| pool.settings().deadlines.connect).max();
    tokio::select! {
        () = each(&reached) => {}
        () = async {
            tokio::time::sleep(connect.unwrap_or(Duration::ZERO)).await;
            any(reached.iter().copied()).await;
        } => {}
    }
}

/// Whether a route may lead to it.
fn reaches(config: &Config, id: UpstreamId) -> bool {
    config.routes.iter().any(|route| route.targets().any(|target| leads(config, target, id)))
}

/// A member of weight 0 gets no request.
fn leads(config: &Config, target: Target, id: UpstreamId) -> bool {
    match target {
        Target::Upstream(direct) => direct == id,
        Target::Group(group) => config.group(group).is_some_and(|group| {
            group.members.iter().any(|member| member.upstream == id && member.weight > 0)
        }),
        Target::ByModel | Target::Events | Target::Streams => false, // its targets are looked at instead
    }
}

async fn each(pools: &[&Rc<Pool>]) {
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

/// Tells what the worker has no connection to, for as long as it serves. Dropped at any time.
pub(super) async fn tell_lacks(worker: usize, acceptor: Rc<Acceptor>, readiness: Arc<Readiness>) {
    loop {
        let now = {
            let proxy = acceptor.proxy();
            let pools: Vec<_> = proxy.upstreams.iter().map(|one| Rc::clone(&one.pool)).collect();
            lacks(&proxy.config, &pools)
        };
        readiness.set_lacks(worker, now);
        tokio::time::sleep(LOOK).await;
    }
}

fn lacks(config: &Config, pools: &[Rc<Pool>]) -> Lacks {
    let (with, without): (Vec<_>, Vec<_>) =
        pools.iter().enumerate().partition(|(_, pool)| pool.is_connected());
    let answered = |target| with.iter().any(|(id, _)| leads(config, target, UpstreamId(*id)));
    let routes = config.routes.iter().filter(|route| !route.targets().any(answered));
    let routes: Vec<_> = routes.map(|route| route.path.clone()).collect();
    Lacks {
        upstreams: without.iter().map(|(_, pool)| pool.settings().name.clone()).collect(),
        everything: routes.len() == config.routes.len(),
        routes,
    }
}
