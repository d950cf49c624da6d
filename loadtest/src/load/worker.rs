//! Threads that each run the loop on a runtime of their own and share nothing but the totals.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::{Barrier, watch};

use crate::client::{DialError, Pool, Target};
use crate::measure::host::{ThreadTime, process_time};
use crate::measure::{Interval, Recorder};
use crate::request::RequestSource;

use super::{Destination, Plan, Share, drive};

/// Intervals that may wait to be collected before a worker goes on without turning the page.
const PAGES_WAITING: usize = 64;

/// One of the targets of a run.
#[derive(Clone, Debug)]
pub struct TargetPlan {
    /// Where.
    pub target: Target,
    /// What.
    pub ask: Arc<RequestSource>,
    /// A new connection for each request.
    pub cold: bool,
    /// Processes that serve the target on this machine, to be charged with what they use.
    pub processes: Vec<u32>,
    /// Connections opened before the first request, over all workers.
    pub connections: Connections,
    /// Most requests at a time on one HTTP/2 connection.
    pub streams: usize,
}

/// How many connections are opened ahead of need.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Connections {
    /// So many.
    Exactly(usize),
    /// As many as so many requests at a time need, which depends on the protocol.
    For(usize),
}

/// One pass of the loop over one target.
#[derive(Clone, Debug)]
pub struct Pass {
    /// Which target.
    pub target: usize,
    /// The number under which it is kept apart.
    pub slice: usize,
    /// What to do.
    pub plan: Plan,
}

/// All that the workers do.
#[derive(Clone, Debug)]
pub struct Program {
    /// The targets.
    pub target_plans: Vec<TargetPlan>,
    /// The passes, in order.
    pub passes: Vec<Pass>,
    /// How many threads share each pass.
    pub threads: usize,
    /// How often a worker's notes are handed over.
    pub interval: Duration,
}

/// Why a worker stopped early.
#[derive(Debug)]
pub enum WorkError {
    /// No connection to a target before the first request.
    Dial(String, DialError),
    /// The runtime or the timer.
    Io(io::Error),
}

impl std::fmt::Display for WorkError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Dial(origin, error) => write!(f, "{origin}: {error}"),
            Self::Io(error) => write!(f, "the load generator failed: {error}"),
        }
    }
}

impl std::error::Error for WorkError {}

/// Workers under way.
#[derive(Debug)]
pub struct Workers {
    notes: Receiver<Interval>,
    threads: Vec<JoinHandle<Result<(), WorkError>>>,
    stop: watch::Sender<bool>,
}

impl Workers {
    /// Starts the program's threads.
    pub fn start(program: Program) -> io::Result<Self> {
        let (totals, notes) = sync_channel(PAGES_WAITING);
        let (stop, stopped) = watch::channel(false);
        let program = Arc::new(program);
        let together = Arc::new(Barrier::new(program.threads));
        let mut threads = Vec::new();
        for nth in 0..program.threads {
            let worker = Worker {
                program: program.clone(),
                share: Share { nth, of: program.threads },
                together: together.clone(),
                stop: stopped.clone(),
            };
            let totals = totals.clone();
            let name = format!("load-{nth}");
            threads.push(thread::Builder::new().name(name).spawn(move || worker.run(totals))?);
        }
        Ok(Self { notes, threads, stop })
    }

    /// What they noted, as it comes; ends when all have ended.
    pub fn notes(&mut self) -> impl Iterator<Item = Interval> {
        self.notes.iter()
    }

    /// No further request starts; those in flight are waited for.
    pub fn stop(&self) {
        self.stop.send_replace(true);
    }

    /// Stops at the first interrupt (Ctrl-C); a second one ends the process at once.
    pub fn stop_on_interrupt(&self) {
        let stop = self.stop.clone();
        let wait = move || {
            let Ok(runtime) = Builder::new_current_thread().enable_all().build() else { return };
            runtime.block_on(async {
                if tokio::signal::ctrl_c().await.is_ok() {
                    stop.send_replace(true);
                    let _ = tokio::signal::ctrl_c().await;
                    std::process::exit(130);
                }
            });
        };
        // Without this thread an interrupt ends the process at once: nothing worse.
        let _ = thread::Builder::new().name("interrupt".into()).spawn(wait);
    }

    /// Waits for the end; a panic of a worker goes on here.
    pub fn join(self) -> Result<(), WorkError> {
        drop(self.notes);
        let mut result = Ok(());
        for thread in self.threads {
            match thread.join() {
                Ok(ended) => result = result.and(ended),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        result
    }
}

struct Worker {
    program: Arc<Program>,
    share: Share,
    together: Arc<Barrier>,
    stop: watch::Receiver<bool>,
}

impl Worker {
    fn run(self, totals: SyncSender<Interval>) -> Result<(), WorkError> {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build_local(LocalOptions::default())
            .map_err(WorkError::Io)?;
        let recorder = Recorder::new(self.share.nth, totals);
        runtime.block_on(self.passes(recorder))
    }

    async fn passes(mut self, recorder: Recorder) -> Result<(), WorkError> {
        let destinations = self.open().await;
        // All workers meet here even if one could not connect: none must wait for ever.
        self.together.wait().await;
        let destinations = destinations?;
        let pages = recorder.clone();
        let interval = self.program.interval;
        let ticker = tokio::task::spawn_local(async move {
            loop {
                tokio::time::sleep(interval).await;
                pages.turn(None);
            }
        });
        for pass in &self.program.passes {
            recorder.open(pass.target, pass.slice);
            let plan = share_of(pass.plan.clone(), self.share);
            let destination = &destinations[pass.target];
            let before = self.processes_time(pass.target);
            let driven = drive(plan, destination, self.share, &recorder, &mut self.stop).await;
            self.together.wait().await;
            recorder.charge(self.processes_time(pass.target).since(before));
            driven.map_err(WorkError::Io)?;
        }
        ticker.abort();
        recorder.turn(Some((0, 0)));
        Ok(())
    }

    /// Time of the target's processes so far; one worker asks for all.
    fn processes_time(&self, target: usize) -> ThreadTime {
        let mine = if self.share.nth == 0 {
            &self.program.target_plans[target].processes[..]
        } else {
            &[]
        };
        let times = mine.iter().filter_map(|pid| process_time(*pid));
        times.fold(ThreadTime::default(), ThreadTime::plus)
    }

    async fn open(&self) -> Result<Vec<Destination>, WorkError> {
        let mut destinations = Vec::new();
        for target_plan in &self.program.target_plans {
            let target = target_plan.target.clone();
            let pool = if target_plan.cold {
                Pool::cold(target)
            } else {
                Pool::sharing(target, target_plan.streams)
            };
            let part = |count: usize| count.div_ceil(self.share.of);
            let opened = match target_plan.connections {
                Connections::Exactly(count) => pool.open(part(count)).await,
                Connections::For(requests) => pool.open_for(part(requests)).await,
            };
            opened.map_err(|error| WorkError::Dial(target_plan.target.origin(), error))?;
            destinations.push(Destination { pool, ask: target_plan.ask.clone() });
        }
        Ok(destinations)
    }
}

/// One worker's part of the slots; at least one.
fn share_of(plan: Plan, share: Share) -> Plan {
    let slots = plan.slots / share.of + usize::from(share.nth < plan.slots % share.of);
    Plan { slots: slots.max(1), ..plan }
}
