//! One worker: a thread of its own, from its first connection upstream to its last client.

use std::rc::Rc;
use std::sync::Arc;

use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use super::cores::starved;
use super::lister;
use super::memory::give_back;
use super::orders::{Order, told};
use super::plan::Plan;
use super::prober;
use super::reloading::build::{Built, first};
use super::reloading::tidying;
use super::reloading::worker::{Change, ReloadWorker};
use super::warm::{Warmed, Warming, tell_lacks};
use crate::accept::{self, Acceptor, Drain, Idle, Inbox, Loads, Stage};
use crate::admin::Readiness;
use crate::error::Kind;
use crate::kernel;
use crate::record::WorkerRecorder;
use crate::transport::ListenSocket;
use crate::upstream::Pool;

/// What a worker thread takes along.
pub(super) struct WorkerSetup {
    pub(super) index: usize,
    /// It has a core of its own.
    pub(super) pinned: bool,
    pub(super) plan: Arc<Plan>,
    /// Each with its number in the configuration.
    pub(super) listeners: Vec<(usize, ListenSocket)>,
    /// Of each worker, for those that have to wait for their cores; nothing where there is one worker.
    pub(super) all_listeners: Arc<[Vec<(usize, ListenSocket)>]>,
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
    if setup.pinned {
        kernel::pin(setup.index);
    }
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
    let WorkerSetup { index, plan, loads, orders, .. } = setup;
    let recorder = setup.unstarted.start();
    let Some(Built { proxy, fresh }) = first(&plan, &recorder, index) else {
        return 0;
    };
    fresh.iter().for_each(Pool::start);
    let mut warming = Warming::new(index, Arc::clone(&setup.readiness), setup.warmed);
    warming.follow(Arc::clone(&plan.config), fresh);
    let doors = plan.doors.clone();
    drop(plan);
    let drain = Drain::default();
    // Not among the tasks that end with a drain: those who do not read are in its way too.
    tokio::task::spawn_local(Rc::clone(&proxy.stock).watch());
    let idle = Idle::showing(loads.idle(index));
    let acceptor = Acceptor::new(Rc::new(proxy), doors, recorder.clone(), drain.clone(), idle);
    let acceptor = Rc::new(acceptor);
    prober::begin(&acceptor);
    lister::begin(&acceptor);
    tidying::begin(&acceptor, index);
    let reload_worker = ReloadWorker {
        worker: index,
        acceptor: Rc::clone(&acceptor),
        recorder: recorder.clone(),
        warming,
    };
    let mut tasks = vec![
        tokio::task::spawn_local(reload_worker.serve(setup.changes)),
        tokio::task::spawn_local(Rc::clone(&acceptor).tidy()),
        tokio::task::spawn_local(tell_lacks(index, Rc::clone(&acceptor), setup.readiness)),
    ];
    let all_listeners = setup.all_listeners;
    if !all_listeners.is_empty() {
        let open = told(orders.clone(), Order::Serve);
        let helping = accept::help(index, loads.clone(), all_listeners, Rc::clone(&acceptor));
        tasks.push(tokio::task::spawn_local(starved::watch(index, loads.clone())));
        tasks.push(tokio::task::spawn_local(async move {
            open.await;
            helping.await;
        }));
    }
    // Not aborted: what has connected before they were told to stop is theirs to serve.
    let listening = listen(setup.listeners, index, &loads, &acceptor, &orders);
    // Nor is this: what others accepted for it is in there.
    let turn = orders.clone();
    let ends = async { _ = told(turn, Order::Drain).await };
    let received = setup.inbox.receive(index, loads, Rc::clone(&acceptor), ends);
    let received = tokio::task::spawn_local(received);
    if told(orders.clone(), Order::LameDuck).await == Order::LameDuck {
        drain.begin(Stage::LameDuck);
    }
    let began = tokio::time::Instant::now();
    told(orders.clone(), Order::Drain).await;
    for task in tasks {
        task.abort();
    }
    drain.begin(Stage::Drain);
    acceptor.proxy().keeper.drain();
    let deadline = began + acceptor.proxy().config.client.drain;
    tokio::select! {
        () = finish(listening, received, &drain, &acceptor) => {}
        () = tokio::time::sleep_until(deadline) => {}
        _ = told(orders.clone(), Order::Stop) => {}
    }
    recorder.cut_rest(Kind::Draining.code());
    recorder.in_flight()
}

/// Returns once no client is left, nor a stream that somebody elsewhere reads.
async fn finish(
    listening: Vec<JoinHandle<()>>,
    received: JoinHandle<()>,
    drain: &Drain,
    acceptor: &Acceptor,
) {
    for one in listening {
        drop(one.await);
    }
    drop(received.await);
    drain.emptied().await;
    acceptor.proxy().keeper.emptied().await;
}

/// Accepts on each from the worker's turn on, and ends when it is to drain.
fn listen(
    listeners: Vec<(usize, ListenSocket)>,
    worker: usize,
    loads: &Loads,
    acceptor: &Rc<Acceptor>,
    orders: &watch::Receiver<Order>,
) -> Vec<JoinHandle<()>> {
    let listening = listeners.into_iter().map(|(nth, socket)| {
        let (loads, acceptor, orders) = (loads.clone(), Rc::clone(acceptor), orders.clone());
        tokio::task::spawn_local(async move {
            if told(orders.clone(), Order::Serve).await < Order::Drain {
                let ends = async { _ = told(orders, Order::Drain).await };
                let _refused = accept::listen(socket, nth, worker, loads, acceptor, ends).await;
            }
        })
    });
    listening.collect()
}
