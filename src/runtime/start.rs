//! Starting: bind, set TLS up, start the threads.

use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::thread::JoinHandle;

use rustls::ClientConfig;
use tokio::runtime::Builder;
use tokio::sync::{oneshot, watch};

use super::Order;
use super::running::Running;
use super::worker::{Luggage, serve, work};
use crate::accept::{self, Loads};
use crate::admin::{self, Readiness};
use crate::admit::Bound;
use crate::config::{Config, Scheme};
use crate::kernel;
use crate::record::{Hub, Setup};
use crate::relay::head::{BadUpstream, UpstreamHead};
use crate::upstream::{Roots, TlsError, client_config};

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

/// Starts a proxy: binds, sets TLS up and starts its threads. Nothing is left behind on failure.
///
/// # Errors
/// See [`StartError`].
pub fn start(config: Config) -> Result<Running, StartError> {
    let (mut running, workers) = prepare(config)?;
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
    let (running, mut workers) = prepare(config)?;
    let worker = workers.pop();
    Ok((running, async move {
        match worker {
            Some(luggage) => serve(luggage).await,
            None => 0, // there is one: the configuration says so
        }
    }))
}

/// All but the workers' threads.
fn prepare(config: Config) -> Result<(Running, Vec<Luggage>), StartError> {
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
    let running = Running {
        addresses,
        admin,
        readiness: Arc::clone(&readiness),
        hub: Arc::clone(&hub),
        orders,
        workers: Vec::with_capacity(workers),
        admin_thread,
        warmed: Arc::default(),
    };
    let luggage = inboxes.into_iter().enumerate().map(|(index, inbox)| Luggage {
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
    });
    let luggage = luggage.collect();
    Ok((running, luggage))
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
