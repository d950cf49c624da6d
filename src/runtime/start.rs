//! Starting: bind, set TLS up, start the threads.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use tokio::runtime::Builder;
use tokio::sync::{mpsc, oneshot, watch};

use super::certificates;
use super::cores::pinning;
use super::descriptors::admin_room;
use super::error::StartError;
use super::keeping::Keeping;
use super::memory::{self, give_back};
use super::orders::Order;
use super::plan::{Baseline, CheckedConfig, Plan};
use super::reloading::reloader::{Applied, Reloader};
use super::reloading::together::Together;
use super::running::Running;
use super::sockets::Sockets;
use super::worker::{WorkerSetup, serve, work};
use crate::accept::Loads;
use crate::admin::{self, AdminSetup, Readiness};
use crate::config::{Config, ListenAddress, Read};
use crate::events::Others;
use crate::handover::{Inherited, Opening};
use crate::kernel;
use crate::record::{Hub, Setup};
use crate::transport::ListenSocket;

/// Reloads come one at a time; one that was given up may still be in the way of the next.
const CHANGES: usize = 4;

/// Where the configuration is from.
pub enum Origin {
    /// A file, which can be read again: [`Running::reloader`].
    File(Box<Read>),
    /// Elsewhere, such as the environment: it stays as it is.
    Fixed(Box<Config>),
}

impl Origin {
    /// As it was read.
    pub fn config(&self) -> &Config {
        match self {
            Self::File(read) => &read.config,
            Self::Fixed(config) => config,
        }
    }
}

/// Starts a proxy: binds, sets TLS up and starts its threads. Nothing is left behind on failure.
///
/// # Errors
/// See [`StartError`].
pub fn start(config: Config) -> Result<Running, StartError> {
    start_from(Origin::Fixed(Box::new(config)), Inherited::default())
}

/// The same from any origin, with sockets that this process was given.
///
/// # Errors
/// See [`StartError`].
pub fn start_from(origin: Origin, given: Inherited) -> Result<Running, StartError> {
    launch(prepare(origin, given)?)
}

fn launch((mut running, workers): (Running, Vec<WorkerSetup>)) -> Result<Running, StartError> {
    for setup in workers {
        let worker = std::thread::Builder::new()
            .name(format!("worker-{}", setup.index))
            .spawn(move || work(setup))
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
    let origin = Origin::Fixed(Box::new(config));
    let (running, mut workers) = prepare(origin, Inherited::default())?;
    let worker = workers.pop();
    Ok((running, async move {
        match worker {
            Some(setup) => serve(setup).await,
            None => 0, // there is one: the configuration says so
        }
    }))
}

/// All but the workers' threads.
fn prepare(origin: Origin, given: Inherited) -> Result<(Running, Vec<WorkerSetup>), StartError> {
    let (config, read) = match origin {
        Origin::File(read) => (read.config.clone(), Some(read)),
        Origin::Fixed(config) => (*config, None),
    };
    let workers = config.workers.get();
    let descriptors = kernel::prepare(config.limits.connections);
    let hub = Arc::new(hub(&config)?);
    let checked = CheckedConfig::new(config, Baseline::Descriptors(descriptors))?;
    // Those of the start are the first, each name's place its number; there is room: none of them is new.
    let label_ids = checked.label_ids(&hub).unwrap_or_default();
    let plan = Arc::new(checked.plan(label_ids, &hub)?);
    let config = Arc::clone(&plan.config);
    let (opening, theirs) = (given.opening(), given.store().map(Path::to_owned));
    let Sockets { workers: mut listeners, addresses, admin, kept } = Sockets::open(&config, given)?;
    let (orders, listen_orders) = watch::channel(first_order(opening));
    let readiness = Arc::new(Readiness::new(workers));
    let (changes, listen_changes): (Vec<_>, Vec<_>) =
        (0..workers).map(|_| mpsc::channel(CHANGES)).unzip();
    let together = Together::new(&hub);
    let reloader = Arc::new(Reloader::new(
        read.as_deref(),
        Arc::clone(&plan),
        Arc::clone(&hub),
        together.clone(),
        changes,
    ));
    let admin_address = admin.as_ref().map(|(address, _)| *address);
    let keeping = open_store(&plan, &reloader, admin_address, &hub, theirs)?;
    let admin_setup =
        admin_setup(&hub, &readiness, &reloader, &keeping, together.others(), descriptors);
    let admin_thread = match admin {
        Some((_, socket)) => Some(start_admin(socket, admin_setup, listen_orders.clone())?),
        None => None,
    };
    let (loads, inboxes) = Loads::new(workers);
    show(&plan, &hub);
    together.follow(&plan);
    memory::watch(config.limits.memory, &plan.admission, hub.ceilings())?;
    let running = Running {
        addresses: addresses.iter().filter_map(ListenAddress::ip).collect(),
        places: addresses,
        admin: admin_address,
        listening: Mutex::new(Some(Arc::new(kept))),
        readiness: Arc::clone(&readiness),
        hub: Arc::clone(&hub),
        reloader,
        keeping,
        orders,
        workers: Vec::with_capacity(workers),
        admin_thread,
        together,
        warmed: Arc::default(),
    };
    let (all_listeners, pinned) = (for_help(&listeners), pinning::decide(config.pin));
    let each = inboxes.into_iter().zip(listen_changes).enumerate();
    let setup = each.map(|(index, (inbox, changes))| WorkerSetup {
        index,
        pinned,
        all_listeners: Arc::clone(&all_listeners),
        plan: Arc::clone(&plan),
        listeners: listeners.pop().unwrap_or_default(),
        inbox,
        loads: loads.clone(),
        unstarted: hub.worker(index),
        readiness: Arc::clone(&readiness),
        warmed: Arc::clone(&running.warmed),
        orders: listen_orders.clone(),
        changes,
    });
    let setup = setup.collect();
    Ok((running, setup))
}

/// What workers do until they are told otherwise.
fn first_order(opening: Opening) -> Order {
    match opening {
        Opening::AtOnce => Order::Serve,
        Opening::WhenTold => Order::Hold,
    }
}

/// Opens the store, unless a predecessor has it: then it is opened when that one lets go.
fn open_store(
    plan: &Plan,
    reloader: &Arc<Reloader>,
    admin: Option<SocketAddr>,
    hub: &Hub,
    theirs: Option<PathBuf>,
) -> Result<Arc<Keeping>, StartError> {
    let folder = plan.config.store.clone();
    let keeping = Arc::new(Keeping::new(folder, reloader, admin, Arc::clone(hub.store())));
    if !theirs.is_some_and(|theirs| keeping.is_in(&theirs)) {
        keeping.open().map_err(StartError::Store)?;
    }
    Ok(keeping)
}

/// What the admin listener shows and does.
fn admin_setup(
    hub: &Arc<Hub>,
    readiness: &Arc<Readiness>,
    reloader: &Arc<Reloader>,
    keeping: &Arc<Keeping>,
    others: Arc<dyn Others>,
    descriptors: u64,
) -> AdminSetup {
    AdminSetup {
        hub: Arc::clone(hub),
        readiness: Arc::clone(readiness),
        reload: reload_page(Arc::clone(reloader)),
        usage: usage_page(Arc::clone(keeping)),
        others,
        connections: admin_room(descriptors),
        config: in_force(Arc::clone(reloader)),
    }
}

/// Metrics and pages go by this plan from now on.
fn show(plan: &Plan, hub: &Hub) {
    hub.set_adaptives(plan.admission.meters(&plan.config));
    hub.ceilings().set_connections(plan.admission.capacity().connections as u64);
    certificates::show(&plan.config, hub);
    plan.show_clients(hub);
}

/// A listening socket with the number of its listener.
type Numbered = (usize, ListenSocket);

/// Those of each worker, in the workers' order, for its neighbours. None where there are no neighbours, or no
/// descriptors.
fn for_help(listeners: &[Vec<Numbered>]) -> Arc<[Vec<Numbered>]> {
    if listeners.len() < 2 {
        return Arc::default();
    }
    let clone = |(nth, socket): &Numbered| io::Result::Ok((*nth, socket.try_clone()?));
    let clones = |of: &Vec<Numbered>| of.iter().map(clone).collect();
    // The workers take theirs from the end.
    let all: Result<Vec<_>, _> = listeners.iter().rev().map(clones).collect();
    all.map(Into::into).unwrap_or_default()
}

pub(super) fn hub(config: &Config) -> Result<Hub, StartError> {
    Hub::new(Setup {
        workers: config.workers.get(),
        routes: config.routes.iter().map(|route| route.path.clone()).collect(),
        upstreams: config.upstreams.iter().map(|upstream| upstream.name.clone()).collect(),
        access_log: config.access_log.clone(),
        log_format: config.access_log_format.clone(),
        version: env!("CARGO_PKG_VERSION"),
        commit: env!("FIRSTBYTE_COMMIT"),
    })
    .map_err(|error| StartError::Io("open the access log", error))
}

/// What the admin listener goes by: the configuration of that moment.
fn in_force(reloader: Arc<Reloader>) -> Arc<dyn Fn() -> Arc<Config> + Send + Sync> {
    Arc::new(move || reloader.config())
}

type AdminThread = (JoinHandle<()>, oneshot::Sender<()>);

/// It too waits for its turn: until then `/readyz` is the other process's to answer.
fn start_admin(
    socket: TcpListener,
    admin_setup: AdminSetup,
    mut turn: watch::Receiver<Order>,
) -> Result<AdminThread, StartError> {
    let (stop, stopped) = oneshot::channel();
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| StartError::Io("start the admin runtime", error))?;
    let serving = async move {
        drop(turn.wait_for(|order| *order != Order::Hold).await);
        // The listener is ours and was made non-blocking: this does not fail.
        let _served = admin::serve(socket, admin_setup).await;
    };
    let thread = std::thread::Builder::new()
        .name("admin".into())
        .spawn(move || {
            runtime.block_on(async {
                tokio::spawn(give_back::empty_pages());
                tokio::select! { () = serving => {} _gone = stopped => {} }
            });
            // A reload that still waits for a file holds up no end.
            runtime.shutdown_background();
        })
        .map_err(|error| StartError::Io("start the admin thread", error))?;
    Ok((thread, stop))
}

/// What `GET /usage` answers.
fn usage_page(keeping: Arc<Keeping>) -> admin::Usage {
    Arc::new(move |query| keeping.usage(query))
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
