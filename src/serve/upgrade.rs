//! Both sides of a hand-over as a running program takes part in it.

use std::error::Error;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::signal::unix::Signal;

use super::apart;
use crate::handover::{GaveUp, Handed, Invocation, Predecessor, Successor};
use crate::runtime::{Running, StartError};

/// Between two looks whether it is time. Nobody waits for us meanwhile: the other process serves.
const LOOK: Duration = Duration::from_millis(20);

/// Waits until this process is warm, accepts, and says so. Alone, it does not wait: then nobody else
/// accepts. Where no upstream answers the other one either, it waits for the time of a connect only.
///
/// # Errors
/// The store, which the other one has let go, cannot be opened. This process is to end: the other one goes on.
pub(super) async fn take_over(
    proxy: &Running,
    predecessor: Predecessor,
) -> Result<(), Box<dyn Error>> {
    let config = proxy.reloader().config();
    let connect = config.upstreams.iter().map(|upstream| upstream.deadlines.connect).max();
    let began = Instant::now();
    let no_worse = || !predecessor.answers() && began.elapsed() >= connect.unwrap_or_default();
    while !proxy.is_ready() && !predecessor.is_gone() && !no_worse() {
        tokio::time::sleep(LOOK).await;
    }
    let predecessor = store_of(proxy, predecessor).await?;
    proxy.open();
    match predecessor.ready() {
        Ok(()) => tracing::info!("took over from the previous process"),
        Err(error) => tracing::warn!(%error, "the previous process has already exited"),
    }
    Ok(())
}

/// Takes the store over, where the other process has it. Last of all: from then on that one has it no more.
async fn store_of(
    proxy: &Running,
    predecessor: Predecessor,
) -> Result<Predecessor, Box<dyn Error>> {
    let keeping = Arc::clone(proxy.keeping());
    if !keeping.is_awaited() {
        return Ok(predecessor);
    }
    let opened = apart("store", move || {
        predecessor.release_store().map_err(|error| {
            StartError::Io("have the previous process release the store", error)
        })?;
        keeping.open().map_err(StartError::Store)?;
        Ok::<_, StartError>(predecessor)
    })?;
    Ok(opened.await??)
}

/// Starts a successor at each signal, one at a time. Dropped, it calls off the one that is on the way.
pub(super) struct Upgrade {
    signal: Signal,
    called: Arc<io::Result<Invocation>>,
    called_off: Arc<AtomicBool>,
}

impl Upgrade {
    /// `called` is how this process was.
    pub(super) fn new(signal: Signal, called: io::Result<Invocation>) -> Self {
        Self { signal, called: Arc::new(called), called_off: Arc::default() }
    }

    /// Returns once another process accepts. Says why one did not.
    pub(super) async fn done(&mut self, proxy: &Running) -> Successor {
        loop {
            if self.signal.recv().await.is_none() {
                std::future::pending::<()>().await;
            }
            tracing::info!("starting a new process to take over");
            match self.start(proxy).await {
                Ok(successor) => return successor,
                Err(why) => tracing::error!("handover failed, this process continues: {why}"),
            }
        }
    }

    async fn start(&self, proxy: &Running) -> Result<Successor, Box<dyn Error>> {
        let listening = proxy.listening().ok_or(GaveUp::CalledOff)?;
        let within = proxy.reloader().config().upgrade_timeout;
        let (answers, keeping) = (proxy.answers(), Arc::clone(proxy.keeping()));
        let (called, called_off) = (Arc::clone(&self.called), Arc::clone(&self.called_off));
        let started = tokio::task::spawn_blocking(move || match &*called {
            Ok(called) => {
                let handed = Handed { listening: &listening, answers, store: keeping.handed() };
                Successor::start(called, &handed, within, &called_off)
                    .map_err(|why| why.to_string())
            }
            Err(error) => Err(format!("cannot find this program's executable: {error}")),
        });
        Ok(started.await??)
    }
}

impl Drop for Upgrade {
    fn drop(&mut self) {
        self.called_off.store(true, Ordering::Relaxed);
    }
}
