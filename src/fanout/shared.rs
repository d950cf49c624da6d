//! What the thread that has the connections shares with the requests that need them.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, mpsc, watch};

use super::held::{Cursor, Mirrors, Names, OwnStreams};
use super::wire::{Keys, Link, Lost};
use crate::events::EventRoutes;
use crate::record::{FanoutMeters, Hub};
use crate::streams::{KeptStream, Registry, StreamId};

/// One process's part in what several have together.
pub(super) struct Shared {
    pub(super) keys: Keys,
    pub(super) registry: Arc<Registry>,
    pub(super) meters: Arc<FanoutMeters>,
    /// Where subscribers are listed.
    pub(super) hub: Arc<Hub>,
    /// What is published here, of the configuration in force.
    events: Mutex<EventRoutes>,
    /// The connection for commands, while there is one, and the how-manieth it is.
    link: Mutex<(Option<Link>, u64)>,
    /// The same number; 0 where there is none.
    linked: watch::Sender<u64>,
    mirrors: Mutex<Mirrors>,
    own: Mutex<OwnStreams>,
    names: Mutex<Names>,
    /// Streams of others that are to be stopped, with who reads their upstreams; until that was said.
    stops: Mutex<Vec<(Box<str>, StreamId)>>,
    /// The last order that was read.
    pub(super) cursor: Cursor,
    /// Streams that begin here.
    pub(super) begun: mpsc::Sender<Arc<KeptStream>>,
    /// Something is to be read from Redis that was not.
    pub(super) changed: Notify,
    /// A stream was adopted: somebody has to sweep.
    pub(super) adopted: Notify,
    /// The connections are to be made anew.
    pub(super) broken: Notify,
    pub(super) stop: Notify,
}

impl Shared {
    pub(super) fn new(
        keys: Keys,
        registry: Arc<Registry>,
        hub: Arc<Hub>,
        begun: mpsc::Sender<Arc<KeptStream>>,
    ) -> Self {
        Self {
            keys,
            registry,
            meters: Arc::clone(hub.fanout()),
            hub,
            events: Mutex::default(),
            link: Mutex::default(),
            linked: watch::Sender::new(0),
            mirrors: Mutex::default(),
            own: Mutex::default(),
            names: Mutex::default(),
            stops: Mutex::default(),
            cursor: Cursor::default(),
            begun,
            changed: Notify::new(),
            adopted: Notify::new(),
            broken: Notify::new(),
            stop: Notify::new(),
        }
    }

    /// The connection.
    ///
    /// # Errors
    /// There is none now.
    pub(super) fn link(&self) -> Result<Link, Lost> {
        lock(&self.link).0.clone().ok_or(Lost::Absent)
    }

    /// There is one from now on, or none.
    pub(super) fn set_link(&self, link: Option<Link>) {
        let mut known = lock(&self.link);
        known.1 += u64::from(link.is_some());
        let number = if link.is_some() { known.1 } else { 0 };
        known.0 = link;
        drop(known);
        self.linked.send_replace(number);
        self.meters.connected(number > 0);
    }

    /// The connection, and its number, once there is one; `None` where the thread ends.
    pub(super) async fn linked(&self) -> Option<(Link, u64)> {
        let mut numbers = self.linked.subscribe();
        loop {
            let number = *numbers.wait_for(|number| *number > 0).await.ok()?;
            if let Ok(link) = self.link() {
                return Some((link, number));
            }
        }
    }

    /// Something failed. Where the connection is to blame it is made anew, and nobody waits for the old one.
    pub(super) fn failed(&self, lost: &Lost) {
        if *lost == Lost::Absent {
            return;
        }
        self.meters.failed(lost.word());
        if matches!(lost, Lost::Connection(_) | Lost::Timeout) {
            self.set_link(None);
            self.broken.notify_one();
        }
    }

    /// What is published here from now on.
    pub(super) fn set_events(&self, events: EventRoutes) {
        *lock(&self.events) = events;
    }

    pub(super) fn events(&self) -> EventRoutes {
        lock(&self.events).clone()
    }

    pub(super) fn mirrors(&self) -> MutexGuard<'_, Mirrors> {
        lock(&self.mirrors)
    }

    pub(super) fn own(&self) -> MutexGuard<'_, OwnStreams> {
        lock(&self.own)
    }

    pub(super) fn stops(&self) -> MutexGuard<'_, Vec<(Box<str>, StreamId)>> {
        lock(&self.stops)
    }

    pub(super) fn names(&self) -> MutexGuard<'_, Names> {
        lock(&self.names)
    }
}

/// Nothing that holds one of these locks panics half-way through a change.
fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}
