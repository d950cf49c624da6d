//! One worker: a thread of its own, from its first connection upstream to its last client.

use std::net::TcpListener as StdListener;
use std::rc::Rc;
use std::sync::Arc;

use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::{mpsc, watch};

use super::orders::Order;
use super::plan::Plan;
use super::reloading::build::{Built, first};
use super::reloading::worker::{Change, ReloadWorker};
use super::warm::{Warmed, Warming};
use super::{give_back, prober};
use crate::accept::{self, Acceptor, Drain, Idle, Inbox, Loads};
use crate::admin::Readiness;
use crate::error::Kind;
use crate::kernel;
use crate::record::WorkerRecorder;
use crate::upstream::Pool;

/// What a worker thread takes along.
pub(super) struct WorkerSetup {
    pub(super) index: usize,
    pub(super) plan: Arc<Plan>,
    pub(super) listeners: Vec<StdListener>,
    pub(super) inbox: Inbox,
    pub(super) loads: Loads,
    pub(super) unstarted: WorkerRecorder,
    pub(super) readiness: Arc<Readiness>,
    pub(super) warmed: Arc<Warmed>,
    pub(super) changes: mpsc::Receiver<Change>,
    pub(super) orders: watch::Receiver<Order>,
}

/// A worker's thread. The number of requests that had to be cut is its result.
pub(super) fn work(setup: WorkerSetup) -> usize {
    kernel::pin(setup.index);
    let runtime = Builder::new_current_thread().enable_all().build_local(LocalOptions::default());
    match runtime {
        Ok(runtime) => runtime.block_on(async {
            tokio::task::spawn_local(give_back::empty_pages());
            serve(setup).await
        }),
        Err(_shortage) => 0,
    }
}

/// The same on a runtime that is there already.
pub(super) async fn serve(setup: WorkerSetup) -> usize {
    let WorkerSetup { index, plan, loads, mut orders, .. } = setup;
    let recorder = setup.unstarted.start();
    let Some(Built { proxy, fresh }) = first(&plan, &recorder, index) else {
        return 0;
    };
    fresh.iter().for_each(Pool::start);
    let mut warming = Warming::new(index, setup.readiness, setup.warmed);
    warming.follow(Arc::clone(&plan.config), fresh);
    drop(plan);
    let drain = Drain::default();
    // Not among the tasks that end with a drain: those who do not read are in its way too.
    tokio::task::spawn_local(Rc::clone(&proxy.stock).watch());
    let idle = Idle::showing(loads.idle(index));
    let acceptor = Rc::new(Acceptor::new(Rc::new(proxy), recorder.clone(), drain.clone(), idle));
    prober::begin(&acceptor);
    let reload_worker = ReloadWorker {
        worker: index,
        acceptor: Rc::clone(&acceptor),
        recorder: recorder.clone(),
        warming,
    };
    let mut tasks = vec![
        tokio::task::spawn_local(reload_worker.serve(setup.changes)),
        tokio::task::spawn_local(Rc::clone(&acceptor).tidy()),
    ];
    for listener in setup.listeners {
        let listening = accept::listen(listener, index, loads.clone(), Rc::clone(&acceptor));
        let mut turn = orders.clone();
        tasks.push(tokio::task::spawn_local(async move {
            drop(turn.wait_for(|order| *order != Order::Hold).await);
            let _refused = listening.await;
        }));
    }
    // Not aborted: what others accepted for it before they were told to stop is in there.
    let told = told_to_finish(orders.clone());
    let received = setup.inbox.receive(index, loads, Rc::clone(&acceptor), told);
    let received = tokio::task::spawn_local(received);
    told_to_finish(orders.clone()).await;
    for task in tasks {
        task.abort();
    }
    drain.begin();
    let deadline = acceptor.proxy().config.client.drain;
    tokio::select! {
        () = async { drop(received.await); drain.emptied().await } => {}
        () = tokio::time::sleep(deadline) => {}
        () = told_to_stop(&mut orders) => {}
    }
    recorder.cut_rest(Kind::Draining.code());
    recorder.in_flight()
}

/// Returns when the worker is to end, now or in order. An owner that is gone without a word means now.
async fn told_to_finish(mut orders: watch::Receiver<Order>) {
    drop(orders.wait_for(|order| matches!(order, Order::Drain | Order::Stop)).await);
}

/// Returns when the order is given, or its giver is gone.
async fn told_to_stop(orders: &mut watch::Receiver<Order>) {
    drop(orders.wait_for(|order| *order == Order::Stop).await);
}
