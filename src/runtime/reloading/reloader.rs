//! From a configuration file that changed to workers that serve by it: all of them, or none.
//!
//! Everything that can fail does so before a worker is asked. Each worker then builds what is new beside what
//! runs, warms it, and says so; when all have, all are told to go. No connection of a client ends, and
//! no request that is under way notices.

use std::path::PathBuf;
use std::sync::mpsc as std_mpsc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};

use super::together::Together;
use super::worker::{Change, Prepared};
use crate::admit::Directory;
use crate::config::{self, Config, Faults, ProcessEnv, Read, ReloadOn, Stamp};
use crate::record::{Full, Hub};
use crate::runtime::certificates;
use crate::runtime::error::StartError;
use crate::runtime::plan::{Baseline, CheckedConfig, Plan};

/// How much longer than a connect a worker may take for its part. It has no long turns.
const PATIENCE: Duration = Duration::from_secs(10);

/// Reads a running proxy's configuration again. One at a time: others wait, as long as the time bounds of files and
/// connects allow.
pub struct Reloader {
    file: Option<PathBuf>,
    hub: Arc<Hub>,
    together: Together,
    workers: Vec<mpsc::Sender<Change>>,
    /// Held for all of a reload.
    turn: Mutex<()>,
    /// Held for moments only: signals and the admin listener look at it.
    in_force: Mutex<InForce>,
}

struct InForce {
    plan: Arc<Plan>,
    files: Vec<(PathBuf, Stamp)>,
}

/// A configuration came in force.
#[derive(Debug)]
pub struct Applied {
    /// The keys that changed, as dotted paths.
    pub changes: Vec<String>,
    /// Upstreams without their minimum of connections after the time of one connect. It was applied all
    /// the same: who removes a dead upstream must not wait for another.
    pub cold: Vec<String>,
    /// See [`Read::digest`].
    pub digest: String,
}

/// Why the old configuration stays.
#[derive(Debug)]
pub enum Refused {
    /// There is no file: the environment decided, and a process's environment does not change.
    NoFile,
    /// The file's faults.
    Faults(Faults),
    /// TLS cannot be set up, or an upstream not be used.
    Plan(StartError),
    /// Too many names.
    Full(Full),
    /// A worker did not do its part in time, or the proxy is ending.
    Workers,
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NoFile => {
                write!(
                    f,
                    "there is no configuration file to reload: the process was started from \
                     environment variables"
                )
            }
            Self::Faults(faults) => write!(f, "{faults}"),
            Self::Plan(error) => match std::error::Error::source(error) {
                Some(cause) => write!(f, "{error}: {cause}"),
                None => write!(f, "{error}"),
            },
            Self::Full(full) => write!(f, "{full}; start a new process"),
            Self::Workers => {
                write!(f, "a worker did not respond in time; the proxy may be shutting down")
            }
        }
    }
}

impl std::error::Error for Refused {}

impl Reloader {
    pub(in crate::runtime) fn new(
        read: Option<&Read>,
        plan: Arc<Plan>,
        hub: Arc<Hub>,
        together: Together,
        workers: Vec<mpsc::Sender<Change>>,
    ) -> Self {
        hub.config_begun(read.map_or("", |read| &read.digest));
        let files = read.map(|read| read.files.clone()).unwrap_or_default();
        let file = read.map(|read| read.path.clone());
        let in_force = Mutex::new(InForce { plan, files });
        Self { file, hub, together, workers, turn: Mutex::default(), in_force }
    }

    /// Reads the file again and puts it in force. Blocks: while files are read, 5 s at most for each that hangs,
    /// and while new connections are opened, for the time of one connect. Says in the log what became of it; `by` is who asked.
    ///
    /// # Errors
    /// Why nothing changed.
    pub fn reload(&self, by: &'static str) -> Result<Applied, Refused> {
        let became = self.attempt();
        match &became {
            Ok(applied) => {
                self.hub.config_applied(&applied.digest);
                self.hub.reformat_log(&self.config().access_log_format);
                let (changes, sha256) = (applied.changes.join(" "), &applied.digest);
                tracing::info!(by, changes, sha256, "configuration reloaded");
                for warning in &self.config().warnings {
                    tracing::warn!("{warning}");
                }
                for upstream in &applied.cold {
                    tracing::warn!(
                        upstream,
                        "configuration applied before this upstream had warm connections"
                    );
                }
            }
            Err(refused) => {
                self.hub.config_refused();
                for line in refused.to_string().lines() {
                    tracing::error!(
                        by,
                        "configuration not reloaded, the old one stays in force: {line}"
                    );
                }
            }
        }
        became
    }

    /// What SIGHUP asks for: the access log's file is opened again, and the configuration is read again where
    /// there is a file. Blocks as [`Reloader::reload`] does, which says what became of it.
    pub fn hang_up(&self) {
        self.hub.reopen_log();
        if self.file.is_some() {
            let _said = self.reload("SIGHUP");
        } else {
            // No refusal, or each rotation of the log would be counted as one.
            tracing::info!(
                "no configuration file to reload: the environment configures this process"
            );
        }
    }

    /// The files that the configuration in force was read from, where it asks to be read again when they
    /// change.
    pub fn watched(&self) -> Option<Vec<(PathBuf, Stamp)>> {
        let in_force = self.in_force();
        let on_change = in_force.plan.config.reload == ReloadOn::Change;
        on_change.then(|| in_force.files.clone())
    }

    /// Warns of certificates that end soon.
    pub fn warn_of_certificates(&self) {
        certificates::warn(&self.config());
    }

    /// What is in force.
    pub fn config(&self) -> Arc<Config> {
        Arc::clone(&self.in_force().plan.config)
    }

    /// Who may ask, where that is known.
    pub(in crate::runtime) fn clients(&self) -> Option<Arc<Directory>> {
        self.in_force().plan.clients.clone()
    }

    /// Ends all subscriptions to named events, in order, and each that comes later.
    pub(in crate::runtime) fn end_subscriptions(&self) {
        self.in_force().plan.events.all().for_each(|topics| topics.end_all());
    }

    fn in_force(&self) -> MutexGuard<'_, InForce> {
        // Poisoned only by a panic, before which nothing was changed.
        self.in_force.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn attempt(&self) -> Result<Applied, Refused> {
        let file = self.file.as_ref().ok_or(Refused::NoFile)?;
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let before = Arc::clone(&self.in_force().plan);
        let read = config::reread(file, &ProcessEnv, &before.config).map_err(Refused::Faults)?;
        let changes = config::changes(&before.config, &read.config);
        let checked =
            CheckedConfig::new(read.config, Baseline::Before(&before)).map_err(Refused::Plan)?;
        let label_ids = checked.label_ids(&self.hub).map_err(Refused::Full)?;
        let plan = Arc::new(checked.plan(label_ids, &self.hub).map_err(Refused::Plan)?);
        let cold = self.swap(&before, &plan)?;
        self.hub.set_adaptives(plan.admission.meters(&plan.config));
        self.hub.ceilings().set_connections(plan.admission.capacity().connections as u64);
        for file in certificates::renewed(&before.config, &plan.config) {
            tracing::info!(file, "TLS certificate replaced");
        }
        certificates::show(&plan.config, &self.hub);
        plan.succeed_events(&before);
        plan.show_clients(&self.hub);
        self.together.follow(&plan);
        *self.in_force() = InForce { plan, files: read.files };
        Ok(Applied { changes, cold, digest: read.digest })
    }

    /// All workers, or none. The upstreams that are not warm.
    fn swap(&self, before: &Arc<Plan>, after: &Arc<Plan>) -> Result<Vec<String>, Refused> {
        let (prepared, preparing) = std_mpsc::sync_channel(self.workers.len());
        let (done, doing) = std_mpsc::sync_channel(self.workers.len());
        let mut gates = Vec::with_capacity(self.workers.len());
        for worker in &self.workers {
            let (admission, go) = oneshot::channel();
            let (before, after) = (Arc::clone(before), Arc::clone(after));
            let (prepared, done) = (prepared.clone(), done.clone());
            let change = Change { before, after, prepared, go, done };
            worker.try_send(change).map_err(|_ending| Refused::Workers)?;
            gates.push(admission);
        }
        // Theirs are the only ones now: a worker that ends hangs up.
        drop((prepared, done));
        let longest = after.config.upstreams.iter().map(|up| up.deadlines.connect).max();
        let deadline = Instant::now() + longest.unwrap_or_default() + PATIENCE;
        let left = || deadline.saturating_duration_since(Instant::now());
        let mut all_cold = Vec::new();
        for _ in &gates {
            match preparing.recv_timeout(left()) {
                Ok(Prepared::Yes { cold }) => all_cold.extend(cold),
                Ok(Prepared::No) | Err(_) => return Err(Refused::Workers),
            }
        }
        let workers = gates.len();
        // A worker that is gone by now has nothing to swap.
        for admission in gates {
            let _gone = admission.send(());
        }
        let swapped = (0..workers).take_while(|_| doing.recv_timeout(PATIENCE).is_ok()).count();
        if swapped < workers {
            tracing::warn!(
                swapped,
                workers,
                "some workers are busy or shutting down: they apply the new configuration later or \
                 not at all"
            );
        }
        all_cold.sort_unstable();
        all_cold.dedup();
        Ok(all_cold)
    }
}
