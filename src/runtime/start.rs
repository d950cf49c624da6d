//! Starting: bind, set TLS up, start the threads.

use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::thread::JoinHandle;

use tokio::runtime::Builder;
use tokio::sync::{mpsc, oneshot, watch};

use super::Order;
use super::build::Bounds;
use super::plan::Plan;
use super::reload::{Applied, Reloader};
use super::running::Running;
use super::worker::{Luggage, serve, work};
use crate::accept::{self, Loads};
use crate::admin::{self, Readiness};
use crate::config::{Config, Read};
use crate::kernel;
use crate::record::{Hub, Places, Setup};
use crate::relay::head::BadUpstream;
use crate::upstream::TlsError;

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

/// Reloads come one at a time; one that was given up may still be in the way of the next.
const CHANGES: usize = 4;

/// Starts a proxy: binds, sets TLS up and starts its threads. Nothing is left behind on failure.
///
/// # Errors
/// See [`StartError`].
pub fn start(config: Config) -> Result<Running, StartError> {
    launch(prepare(config, None)?)
}

/// The same from a file, which can then be read again: [`Running::reloader`].
///
/// # Errors
/// See [`StartError`].
pub fn start_from(read: Read) -> Result<Running, StartError> {
    launch(prepare(read.config.clone(), Some(&read))?)
}

fn launch((mut running, workers): (Running, Vec<Luggage>)) -> Result<Running, StartError> {
    for luggage in workers {
        let worker = std::thread::Builder::new()
            .name(format!("worker-{}", luggage.index))
            .spawn(move || work(luggage))
            .map_err(|error| StartError::Io("start a worker thread", error))?;
        running.workers.push(worker);
    }
    Ok(running)
}

/// The same proxy with one worker and no thread for it: the second value is the worker, to be run on a
/// `LocalRuntime` of the caller's, who then decides when it gets a turn. For whoever counts what one
/// turn costs. It ends after [`Running::stop`].
///
/// # Errors
/// See [`StartError`].
pub fn start_here(
    mut config: Config,
) -> Result<(Running, impl Future<Output = usize>), StartError> {
    config.workers = NonZeroUsize::MIN;
    let (running, mut workers) = prepare(config, None)?;
    let worker = workers.pop();
    Ok((running, async move {
        match worker {
            Some(luggage) => serve(luggage).await,
            None => 0, // there is one: the configuration says so
        }
    }))
}

/// All but the workers' threads.
fn prepare(config: Config, read: Option<&Read>) -> Result<(Running, Vec<Luggage>), StartError> {
    let workers = config.workers.get();
    kernel::prepare(config.limits.connections);
    let hub = Arc::new(hub(&config)?);
    let places = places(&hub, &config);
    let plan = Arc::new(Plan::new(config, places, &hub, None)?);
    let config = Arc::clone(&plan.config);
    let (mut listeners, addresses) = bind(&config)?;
    let readiness = Arc::new(Readiness::new(workers));
    let (changes, listen_changes): (Vec<_>, Vec<_>) =
        (0..workers).map(|_| mpsc::channel(CHANGES)).unzip();
    let reloader = Arc::new(Reloader::new(read, Arc::clone(&plan), Arc::clone(&hub), changes));
    let (admin, admin_thread) = start_admin(&config, &hub, &readiness, &reloader)?;
    let (orders, listen_orders) = watch::channel(Order::Serve);
    let (loads, inboxes) = Loads::new(workers);
    let bounds = Bounds::new(&config);
    let running = Running {
        addresses,
        admin,
        readiness: Arc::clone(&readiness),
        hub: Arc::clone(&hub),
        reloader,
        orders,
        workers: Vec::with_capacity(workers),
        admin_thread,
        warmed: Arc::default(),
    };
    let each = inboxes.into_iter().zip(listen_changes).enumerate();
    let luggage = each.map(|(index, (inbox, changes))| Luggage {
        index,
        plan: Arc::clone(&plan),
        listeners: listeners.pop().unwrap_or_default(),
        inbox,
        loads: loads.clone(),
        seat: hub.worker(index),
        readiness: Arc::clone(&readiness),
        warmed: Arc::clone(&running.warmed),
        bounds: bounds.clone(),
        orders: listen_orders.clone(),
        changes,
    });
    let luggage = luggage.collect();
    Ok((running, luggage))
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

/// Those of the start are the first: each name's place is its number.
fn places(hub: &Hub, config: &Config) -> Places {
    let routes: Vec<_> = config.routes.iter().map(|route| &*route.path).collect();
    let upstreams: Vec<_> = config.upstreams.iter().map(|up| &*up.name).collect();
    // There is room: none of them is new.
    hub.places(&routes, &upstreams).unwrap_or_default()
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
    reloader: &Arc<Reloader>,
) -> Result<Admin, StartError> {
    let Some(address) = config.admin else { return Ok((None, None)) };
    let failed = |error| StartError::Listen(address, error);
    let listener = StdListener::bind(address).map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    let (hub, readiness) = (Arc::clone(hub), Arc::clone(readiness));
    let reload = reload_page(Arc::clone(reloader));
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
                    _served = admin::serve(listener, hub, readiness, reload) => {}
                    _gone = stopped => {}
                }
            });
        })
        .map_err(|error| StartError::Io("start the admin thread", error))?;
    Ok((Some(address), Some((thread, stop))))
}

/// What `POST /reload` does and answers.
fn reload_page(reloader: Arc<Reloader>) -> admin::Reload {
    Arc::new(move || match reloader.reload("POST /reload") {
        Ok(Applied { changes, cold, digest }) => admin::Reloaded::Applied(serde_json::json!({
            "result": "applied", "changes": changes, "cold": cold, "sha256": digest,
        })),
        Err(refused) => {
            let faults: Vec<_> = refused.to_string().lines().map(str::to_owned).collect();
            let page = serde_json::json!({ "result": "refused", "faults": faults });
            admin::Reloaded::Refused(page)
        }
    })
}
