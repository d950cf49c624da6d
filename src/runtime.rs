//! Worker threads: one per core, pinned, each with a current-thread runtime and pools of its own.

use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::rc::Rc;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use rustls::ClientConfig;
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::{oneshot, watch};

use crate::accept::{self, Door, Drain, Inbox, Loads};
use crate::admin::{self, Readiness};
use crate::admit::Bound;
use crate::config::{Config, Scheme};
use crate::error::Kind;
use crate::kernel;
use crate::proxy::{Proxy, Upstream};
use crate::record::{Hub, Recorder, Setup, WorkerSeat};
use crate::relay::head::{BadUpstream, UpstreamHead};
use crate::route::Table;
use crate::upstream::{Pool, Roots, TlsError, client_config};

/// Why the proxy could not start.
#[derive(Debug)]
pub enum StartError {
    /// An address cannot be listened on.
    Listen(SocketAddr, io::Error),
    /// The access log cannot be opened, or a thread or its runtime not be made.
    Io(&'static str, io::Error),
    /// TLS toward the named upstream cannot be set up.
    Tls(String, TlsError),
    /// The named upstream's configuration cannot be put into a request.
    Upstream(String, BadUpstream),
}

impl std::fmt::Display for StartError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Listen(address, _) => write!(f, "cannot listen on {address}"),
            Self::Io(what, _) => write!(f, "cannot {what}"),
            Self::Tls(upstream, _) | Self::Upstream(upstream, _) => {
                write!(f, "upstream {upstream:?} cannot be used")
            }
        }
    }
}

impl std::error::Error for StartError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Listen(_, error) | Self::Io(_, error) => Some(error),
            Self::Tls(_, error) => Some(error),
            Self::Upstream(_, error) => Some(error),
        }
    }
}

/// What a running proxy is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    Serve,
    /// Listeners close, connections finish, until the drain deadline.
    Drain,
    /// Now.
    Stop,
}

/// A running proxy. Dropped, it stops at once and its threads are joined.
pub struct Running {
    addresses: Vec<SocketAddr>,
    admin: Option<SocketAddr>,
    readiness: Arc<Readiness>,
    hub: Arc<Hub>,
    orders: watch::Sender<Order>,
    workers: Vec<JoinHandle<usize>>,
    admin_thread: Option<(JoinHandle<()>, oneshot::Sender<()>)>,
    warmed: Arc<Warmed>,
}

/// How many workers have warmed their pools, for those who wait without polling.
#[derive(Default)]
struct Warmed {
    workers: Mutex<usize>,
    one_more: Condvar,
}

/// What a worker thread takes along.
struct Luggage {
    index: usize,
    config: Arc<Config>,
    tls: Vec<Option<Arc<ClientConfig>>>,
    listeners: Vec<StdListener>,
    inbox: Inbox,
    loads: Loads,
    seat: WorkerSeat,
    readiness: Arc<Readiness>,
    warmed: Arc<Warmed>,
    connections: Bound,
    streams: Bound,
    orders: watch::Receiver<Order>,
}

/// Starts a proxy: binds, sets TLS up and starts its threads. Nothing is left behind on failure.
///
/// # Errors
/// See [`StartError`].
pub fn start(config: Config) -> Result<Running, StartError> {
    let workers = config.workers.get();
    kernel::prepare(config.limits.connections);
    let config = Arc::new(config);
    let tls = tls(&config)?;
    for upstream in &config.upstreams {
        UpstreamHead::new(upstream, config.via)
            .map_err(|error| StartError::Upstream(upstream.name.clone(), error))?;
    }
    let hub = Arc::new(hub(&config)?);
    let (mut listeners, addresses) = bind(&config)?;
    let readiness = Arc::new(Readiness::new(workers));
    let (admin, admin_thread) = start_admin(&config, &hub, &readiness)?;
    let (orders, listen_orders) = watch::channel(Order::Serve);
    let (loads, inboxes) = Loads::new(workers);
    let connections = Bound::new(config.limits.connections);
    let streams = Bound::new(config.limits.streams);
    let mut running = Running {
        addresses,
        admin,
        readiness: Arc::clone(&readiness),
        hub: Arc::clone(&hub),
        orders,
        workers: Vec::with_capacity(workers),
        admin_thread,
        warmed: Arc::default(),
    };
    for (index, inbox) in inboxes.into_iter().enumerate() {
        let luggage = Luggage {
            index,
            config: Arc::clone(&config),
            tls: tls.clone(),
            listeners: listeners.pop().unwrap_or_default(),
            inbox,
            loads: loads.clone(),
            seat: hub.worker(index),
            readiness: Arc::clone(&readiness),
            warmed: Arc::clone(&running.warmed),
            connections: connections.clone(),
            streams: streams.clone(),
            orders: listen_orders.clone(),
        };
        let worker = std::thread::Builder::new()
            .name(format!("worker-{index}"))
            .spawn(move || work(luggage))
            .map_err(|error| StartError::Io("start a worker thread", error))?;
        running.workers.push(worker);
    }
    Ok(running)
}

fn tls(config: &Config) -> Result<Vec<Option<Arc<ClientConfig>>>, StartError> {
    if config.upstreams.iter().all(|upstream| upstream.scheme == Scheme::Http) {
        return Ok(vec![None; config.upstreams.len()]);
    }
    let roots = Roots::load();
    config
        .upstreams
        .iter()
        .map(|upstream| match upstream.scheme {
            Scheme::Http => Ok(None),
            Scheme::Https => client_config(&roots, upstream)
                .map(Some)
                .map_err(|error| StartError::Tls(upstream.name.clone(), error)),
        })
        .collect()
}

fn hub(config: &Config) -> Result<Hub, StartError> {
    Hub::new(Setup {
        workers: config.workers.get(),
        routes: config.routes.iter().map(|route| route.path.clone()).collect(),
        upstreams: config.upstreams.iter().map(|upstream| upstream.name.clone()).collect(),
        access_log: config.access_log.clone(),
        version: env!("CARGO_PKG_VERSION"),
        commit: env!("FIRSTBYTE_COMMIT"),
    })
    .map_err(|error| StartError::Io("open the access log", error))
}

/// One set of listeners per worker, and the addresses they have.
type Listening = (Vec<Vec<StdListener>>, Vec<SocketAddr>);

fn bind(config: &Config) -> Result<Listening, StartError> {
    let workers = config.workers.get();
    let mut sets: Vec<Vec<StdListener>> = (0..workers).map(|_| Vec::new()).collect();
    let mut addresses = Vec::new();
    for address in &config.listen {
        let failed = |error| StartError::Listen(*address, error);
        let listeners = accept::bind(*address, workers).map_err(failed)?;
        for (at, (set, listener)) in sets.iter_mut().zip(listeners).enumerate() {
            if at == 0 {
                addresses.push(listener.local_addr().map_err(failed)?);
            }
            set.push(listener);
        }
    }
    Ok((sets, addresses))
}

type Admin = (Option<SocketAddr>, Option<(JoinHandle<()>, oneshot::Sender<()>)>);

fn start_admin(
    config: &Config,
    hub: &Arc<Hub>,
    readiness: &Arc<Readiness>,
) -> Result<Admin, StartError> {
    let Some(address) = config.admin else { return Ok((None, None)) };
    let failed = |error| StartError::Listen(address, error);
    let listener = StdListener::bind(address).map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    let (hub, readiness) = (Arc::clone(hub), Arc::clone(readiness));
    let (stop, stopped) = oneshot::channel();
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| StartError::Io("start the admin runtime", error))?;
    let thread = std::thread::Builder::new()
        .name("admin".into())
        .spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    // The listener is ours and was made non-blocking: this does not fail.
                    _served = admin::serve(listener, hub, readiness) => {}
                    _gone = stopped => {}
                }
            });
        })
        .map_err(|error| StartError::Io("start the admin thread", error))?;
    Ok((Some(address), Some((thread, stop))))
}

/// A worker's thread. The number of connections that had to be cut is its result.
fn work(luggage: Luggage) -> usize {
    kernel::pin(luggage.index);
    let runtime = Builder::new_current_thread().enable_all().build_local(LocalOptions::default());
    match runtime {
        Ok(runtime) => runtime.block_on(serve(luggage)),
        Err(_shortage) => 0,
    }
}

async fn serve(luggage: Luggage) -> usize {
    let Luggage { index, config, loads, mut orders, readiness, warmed, .. } = luggage;
    let recorder = luggage.seat.sit();
    let Some(proxy) = build(&config, &luggage.tls, luggage.streams, &recorder) else { return 0 };
    let pools: Vec<_> = proxy.upstreams.iter().map(|u| Rc::clone(&u.pool)).collect();
    pools.iter().for_each(Pool::start);
    tokio::task::spawn_local(async move {
        for pool in pools {
            pool.warm().await;
        }
        readiness.set_worker(index, true);
        *warmed.workers.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        warmed.one_more.notify_all();
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
) -> Option<Proxy> {
    let upstreams = config.upstreams.iter().zip(tls).enumerate().map(|(id, (upstream, tls))| {
        let settings = Arc::new(upstream.clone());
        // Both were tried when the proxy was started.
        let pool = Pool::new(id, settings, tls.clone(), recorder.clone()).ok()?;
        Some(Upstream { pool, head: UpstreamHead::new(upstream, config.via).ok()? })
    });
    Some(Proxy {
        config: Arc::clone(config),
        table: Table::new(&config.routes),
        upstreams: upstreams.collect::<Option<_>>()?,
        streams,
        recorder: recorder.clone(),
    })
}

impl Running {
    /// Where clients connect, in the configuration's order, with the ports that the kernel chose.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Where `/readyz` and `/metrics` answer.
    pub fn admin(&self) -> Option<SocketAddr> {
        self.admin
    }

    /// Whether every worker has its minimum of warm connections to every upstream.
    pub fn is_ready(&self) -> bool {
        self.readiness.is_ready()
    }

    /// Waits until [`Running::is_ready`], at most `within`; `false` if that passed.
    pub fn wait_ready(&self, within: Duration) -> bool {
        let all = self.workers.len();
        // Poisoned only if a thread panicked while it counted; the count still stands.
        let warmed = self.warmed.workers.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.warmed.one_more.wait_timeout_while(warmed, within, |n| *n < all);
        *waited.unwrap_or_else(PoisonError::into_inner).0 >= all
    }

    /// Turns readiness off, closes the listeners and lets connections finish until the drain
    /// deadline. [`Running::join`] waits for it.
    pub fn drain(&self) {
        self.readiness.drain();
        let _told = self.orders.send(Order::Drain);
    }

    /// Ends everything now.
    pub fn stop(&self) {
        let _told = self.orders.send(Order::Stop);
    }

    /// [`Running::stop`] for somebody else's hands, while another waits in [`Running::join`].
    pub fn stopper(&self) -> Stopper {
        Stopper(self.orders.clone())
    }

    /// Waits for the workers to end and flushes the access log. The number of connections that were
    /// cut.
    pub fn join(mut self) -> usize {
        self.finish()
    }

    fn finish(&mut self) -> usize {
        let mut cut = 0;
        for worker in self.workers.drain(..) {
            // A worker that panicked has said so; its streams are gone already.
            cut += worker.join().unwrap_or(0);
        }
        self.hub.finish(Duration::from_secs(2));
        if let Some((thread, stop)) = self.admin_thread.take() {
            drop(stop);
            let _ended = thread.join();
        }
        cut
    }
}

/// Ends a proxy now.
pub struct Stopper(watch::Sender<Order>);

impl Stopper {
    /// See [`Running::stop`].
    pub fn stop(&self) {
        let _told = self.0.send(Order::Stop);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop();
        self.finish();
    }
}
