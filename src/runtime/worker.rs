//! One worker: a thread of its own, from its first connection upstream to its last client.

use std::cell::RefCell;
use std::net::TcpListener as StdListener;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use http::HeaderValue;
use rustls::ClientConfig;
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::watch;

use super::Order;
use super::running::Warmed;
use super::warm::warm;
use crate::accept::{self, Door, Drain, Inbox, Loads};
use crate::admin::Readiness;
use crate::admit::Bound;
use crate::config::Config;
use crate::error::Kind;
use crate::kernel;
use crate::proxy::{Proxy, Upstream};
use crate::record::{Recorder, WorkerSeat};
use crate::relay::head::UpstreamHead;
use crate::route::{Groups, Table};
use crate::upstream::{Health, Pool};

/// What a worker thread takes along.
pub(super) struct Luggage {
    pub(super) index: usize,
    pub(super) config: Arc<Config>,
    pub(super) tls: Vec<Option<Arc<ClientConfig>>>,
    pub(super) listeners: Vec<StdListener>,
    pub(super) inbox: Inbox,
    pub(super) loads: Loads,
    pub(super) seat: WorkerSeat,
    pub(super) readiness: Arc<Readiness>,
    pub(super) warmed: Arc<Warmed>,
    pub(super) connections: Bound,
    pub(super) streams: Bound,
    pub(super) orders: watch::Receiver<Order>,
}

/// A worker's thread. The number of connections that had to be cut is its result.
pub(super) fn work(luggage: Luggage) -> usize {
    kernel::pin(luggage.index);
    let runtime = Builder::new_current_thread().enable_all().build_local(LocalOptions::default());
    match runtime {
        Ok(runtime) => runtime.block_on(serve(luggage)),
        Err(_shortage) => 0,
    }
}

/// The same on a runtime that is there already.
pub(super) async fn serve(luggage: Luggage) -> usize {
    let Luggage { index, config, loads, mut orders, readiness, warmed, .. } = luggage;
    let recorder = luggage.seat.sit();
    let Some(proxy) = build(&config, &luggage.tls, luggage.streams, &recorder, index) else {
        return 0;
    };
    let pools: Vec<_> = proxy.upstreams.iter().map(|u| Rc::clone(&u.pool)).collect();
    pools.iter().for_each(Pool::start);
    let meant = Arc::clone(&config);
    tokio::task::spawn_local(async move {
        warm(&meant, &pools).await;
        readiness.set_worker(index, true);
        warmed.one_more();
    });
    let drain = Drain::default();
    let records = recorder.clone();
    let door = Rc::new(Door {
        proxy: Rc::new(proxy),
        config: Arc::clone(&config),
        recorder,
        connections: luggage.connections,
        drain: drain.clone(),
    });
    let mut tasks = Vec::new();
    for listener in luggage.listeners {
        let listening = accept::listen(listener, index, loads.clone(), Rc::clone(&door));
        tasks.push(tokio::task::spawn_local(async move {
            let _refused = listening.await;
        }));
    }
    tasks.push(tokio::task::spawn_local(luggage.inbox.receive(index, loads, door)));
    // An owner that is gone without a word means now.
    drop(orders.wait_for(|order| *order != Order::Serve).await);
    for task in tasks {
        task.abort();
    }
    drain.begin();
    let deadline = config.client.drain;
    tokio::select! {
        () = drain.emptied() => {}
        () = tokio::time::sleep(deadline) => {}
        () = told_to_stop(&mut orders) => {}
    }
    records.cut_rest(Kind::Draining.code());
    drain.open()
}

/// Returns when the order is given, or its giver is gone.
async fn told_to_stop(orders: &mut watch::Receiver<Order>) {
    drop(orders.wait_for(|order| *order == Order::Stop).await);
}

fn build(
    config: &Arc<Config>,
    tls: &[Option<Arc<ClientConfig>>],
    streams: Bound,
    recorder: &Recorder,
    worker: usize,
) -> Option<Proxy> {
    let upstreams = config.upstreams.iter().zip(tls).enumerate().map(|(id, (upstream, tls))| {
        let settings = Arc::new(upstream.clone());
        // Both were tried when the proxy was started.
        let pool = Pool::new(id, settings, tls.clone(), recorder.clone()).ok()?;
        let name = HeaderValue::try_from(&upstream.name).ok()?;
        let health = RefCell::new(Health::new(upstream.health, Instant::now()));
        let head = UpstreamHead::new(upstream, config.via).ok()?;
        Some(Upstream { pool, head, name, health })
    });
    Some(Proxy {
        config: Arc::clone(config),
        table: Table::new(&config.routes),
        groups: Groups::new(config, worker),
        upstreams: upstreams.collect::<Option<_>>()?,
        streams,
        recorder: recorder.clone(),
    })
}
