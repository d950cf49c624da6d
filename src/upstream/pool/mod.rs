//! One worker's warm connections to one upstream.
//!
//! A lease is granted from what is open, least loaded first; connections are opened ahead of need
//! by tasks of their own. Waiting is bounded in length and time. All of one thread: a borrow never
//! outlives a call.

mod apart;
mod events;
mod flood;
mod granting;
pub(in crate::upstream) mod handle;
mod idle;
pub(in crate::upstream) mod lease;
pub(in crate::upstream) mod opening;
mod queue;
mod shortage;
mod silence;
mod sizing;
mod turnover;

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::Notify;
use tokio::task::AbortHandle;

use super::connect::Connector;
use super::connect::resolver::ResolvedName;
use super::connection::Conn;
use super::keepalive::PeerLimit;
use super::stream::head_size::HeadLimit;
use crate::config::{self, UpstreamId};
use crate::error::Error;
use crate::record::{Recorder, UpstreamMeters};
use crate::transport::tls::client::ClientTls;
use idle::ahead::Ahead;
use queue::Queue;
use shortage::Shortage;

/// One worker's connections to one upstream.
pub struct Pool {
    id: UpstreamId,
    /// For requests that may cost their connection.
    apart: bool,
    settings: Arc<config::Upstream>,
    connector: Connector,
    recorder: Recorder,
    /// Connections that take new streams, oldest first.
    conns: RefCell<Vec<Rc<Conn>>>,
    queue: Queue,
    connecting: Cell<usize>,
    /// Connects that failed one after the other.
    failures: Cell<u32>,
    opened: Cell<u64>,
    /// No connect before this time unless a request has nowhere else to go.
    backoff_until: Cell<Option<Instant>>,
    /// Our own sockets are short.
    shortage: Shortage,
    ahead: Ahead,
    peer_limit: PeerLimit,
    /// The last connection was given up for its silence, and none was opened since.
    lost: Cell<bool>,
    warm: Notify,
    /// No request comes any more: nothing is kept warm.
    closed: Cell<bool>,
    /// A task looks for connections that a burst left behind.
    watches_idle: Cell<bool>,
    /// What was shown last. After a reload two pools may be shown as one upstream.
    shown: Cell<Shown>,
    /// The task that hears of the name's new addresses.
    follower: Cell<Option<AbortHandle>>,
}

/// A pool's connections as the metrics have them.
#[derive(Debug, Clone, Copy, Default)]
struct Shown {
    ready: u64,
    suspect: u64,
    connecting: u64,
    silent: u64,
    unconnected: u64,
}

impl Pool {
    /// A pool without connections; [`Pool::start`] opens the first.
    ///
    /// # Errors
    /// The upstream's host is not a name that TLS can verify.
    pub fn new(
        id: UpstreamId,
        settings: Arc<config::Upstream>,
        tls: Option<ClientTls>,
        name: ResolvedName,
        heads: HeadLimit,
        recorder: Recorder,
    ) -> Result<Rc<Self>, Error> {
        let connector = Connector::new(Arc::clone(&settings), tls, name, heads)?;
        Ok(Self::of((id, false), settings, connector, recorder))
    }

    fn of(
        (id, apart): (UpstreamId, bool),
        settings: Arc<config::Upstream>,
        connector: Connector,
        recorder: Recorder,
    ) -> Rc<Self> {
        Rc::new(Self {
            id,
            apart,
            connector,
            settings,
            recorder,
            conns: RefCell::default(),
            queue: Queue::default(),
            connecting: Cell::new(0),
            failures: Cell::new(0),
            opened: Cell::new(0),
            backoff_until: Cell::new(None),
            shortage: Shortage::default(),
            ahead: Ahead::default(),
            peer_limit: PeerLimit::default(),
            lost: Cell::new(false),
            warm: Notify::new(),
            closed: Cell::new(false),
            watches_idle: Cell::new(false),
            shown: Cell::default(),
            follower: Cell::default(),
        })
    }

    /// What the operator asked for.
    pub fn settings(&self) -> &config::Upstream {
        &self.settings
    }

    /// Requests of this worker's that the upstream has under way or that wait for a stream to it.
    pub fn load(&self) -> u64 {
        self.meters().streams.get() + self.meters().waiting.get()
    }

    /// Whether its connections are for requests that may cost one.
    pub(super) fn is_apart(&self) -> bool {
        self.apart
    }

    /// What is taken of answers.
    pub(super) fn head_limit(&self) -> HeadLimit {
        self.connector.heads()
    }

    pub(super) fn meters(&self) -> &UpstreamMeters {
        self.recorder.upstream(self.id)
    }

    /// Begins to open the minimum of connections. To be called inside a local runtime.
    pub fn start(self: &Rc<Self>) {
        let follow = follow(Rc::downgrade(self), self.connector.name().clone());
        self.follower.set(Some(tokio::task::spawn_local(follow).abort_handle()));
        self.tend();
    }

    /// Nobody asks it any more: connections close, at once or with their last stream.
    pub(super) fn close(&self) {
        self.closed.set(true);
        if let Some(follower) = self.follower.take() {
            follower.abort();
        }
        self.empty();
        self.publish();
    }

    /// Lets a closed pool's connections go, unless somebody still waits for one.
    fn empty(&self) {
        if self.closed.get() && self.queue.is_empty() {
            let conns = self.conns.borrow().clone();
            for conn in &conns {
                self.drain(conn);
            }
        }
    }

    /// Returns once the minimum of connections is open.
    pub async fn warm(&self) {
        while self.conns.borrow().len() < self.minimum() {
            self.warm.notified().await;
        }
    }

    /// Whether a connection is open, which may be silent just now; or none is kept since nobody asks, and the last
    /// connect succeeded.
    pub fn is_connected(&self) -> bool {
        let rests = !self.ahead.pays() && self.failures.get() == 0;
        rests || !self.conns.borrow().is_empty()
    }

    /// Connections that are kept open whatever is asked.
    fn minimum(&self) -> usize {
        let kept = !self.closed.get() && self.ahead.pays();
        if kept { self.settings.pool.min_connections } else { 0 }
    }

    fn publish(&self) {
        let suspect = self.conns.borrow().iter().filter(|conn| conn.suspect.get()).count() as u64;
        let now = Shown {
            ready: self.conns.borrow().len() as u64 - suspect,
            suspect,
            connecting: self.connecting.get() as u64,
            silent: u64::from(self.is_silent()),
            unconnected: u64::from(!self.is_connected() && !self.closed.get() && !self.apart),
        };
        let before = self.shown.replace(now);
        self.meters().ready.shift(before.ready, now.ready);
        self.meters().suspect.shift(before.suspect, now.suspect);
        self.meters().connecting.shift(before.connecting, now.connecting);
        self.meters().silent.shift(before.silent, now.silent);
        self.meters().unconnected.shift(before.unconnected, now.unconnected);
    }
}

/// Tells the pool of its name's new addresses.
async fn follow(pool: Weak<Pool>, mut name: ResolvedName) {
    while name.moved().await.is_ok() {
        let Some(pool) = pool.upgrade() else { return };
        pool.readdressed();
    }
}
