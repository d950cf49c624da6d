//! One worker's warm connections to one upstream.
//!
//! A lease is granted from what is open, least loaded first; connections are opened ahead of need
//! by tasks of their own. Waiting is bounded in length and time. All of one thread: a borrow never
//! outlives a call.

mod apart;
mod events;
mod flood;
pub(in crate::upstream) mod handle;
mod idle;
pub(in crate::upstream) mod lease;
mod queue;
mod shortage;
mod silence;
mod sizing;
mod turnover;

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::ClientConfig;
use tokio::sync::Notify;
use tokio::task::AbortHandle;

use super::connect::resolver::ResolvedName;
use super::connect::{Connected, Connector, Fresh};
use super::connection::pinger::Pinger;
use super::connection::{self, Conn, Sender, State, retire_at, stream_cap};
use super::keepalive::PeerLimit;
use super::stream::head_size::HeadLimit;
use super::stream::http1::SharedIo;
use crate::algo::backoff::{backoff, draw};
use crate::config::{self, UpstreamId};
use crate::error::{Error, Kind};
use crate::record::{Leased, Record, Recorder, UpstreamMeters};
use lease::Lease;
use queue::{Queue, Waiting};
use shortage::Shortage;
use silence::least_suspect;
use sizing::{View, wanted};

/// The longest that the first pause after a failed connect can be; doubled with each further failure.
/// A pause is anything below (full jitter): those who lost an upstream together, each worker of each
/// proxy, do not come back together.
const BACKOFF: Duration = Duration::from_millis(100);

/// The longest pause between connects: an upstream that is back is found within this time even if
/// nobody asks for it.
const MAX_BACKOFF: Duration = Duration::from_secs(5);

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
}

impl Pool {
    /// A pool without connections; [`Pool::start`] opens the first.
    ///
    /// # Errors
    /// The upstream's host is not a name that TLS can verify.
    pub fn new(
        id: UpstreamId,
        settings: Arc<config::Upstream>,
        tls: Option<Arc<ClientConfig>>,
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
        while self.conns.borrow().len() < self.settings.pool.min_connections {
            self.warm.notified().await;
        }
    }

    /// The right to one stream for `record`'s request.
    ///
    /// Dropped while it waits, it leaves the queue; a lease granted in that moment goes to the next.
    ///
    /// # Errors
    /// The queue is full, the wait was too long, or connecting failed and nothing is open; or it failed for want of sockets, which no wait gives.
    pub async fn lease(self: &Rc<Self>, record: &Rc<Record>) -> Result<Lease, Error> {
        if let Some(conn) = self.pick() {
            let lease = Lease::new(conn, self, false);
            record.leased(Leased { waited: Duration::ZERO, cold: false, version: lease.version() });
            self.tend();
            return Ok(lease);
        }
        let asked = Instant::now();
        if self.shortage.lasts(asked) {
            return Err(Kind::LocalLimit.into());
        }
        if self.settings.pool.queue.is_some_and(|most| self.queue.len() >= most) {
            return Err(Kind::PoolQueueFull.into());
        }
        let waiting = Waiting::new(self);
        self.tend();
        let lease = tokio::time::timeout(self.settings.pool.queue_timeout, waiting)
            .await
            .map_err(|_elapsed| Error::new(Kind::PoolQueueTimeout))??;
        let waited = asked.elapsed();
        record.leased(Leased { waited, cold: lease.is_cold(), version: lease.version() });
        Ok(lease)
    }

    /// Least loaded first, the oldest on a tie: so that connections opened together do not use up
    /// their peers' request limits together. Where all are suspect, the one that was heard last: what
    /// may work is not refused.
    fn pick(&self) -> Option<Rc<Conn>> {
        let conns = self.conns.borrow();
        let free = |conn: &&Rc<Conn>| conn.free() > 0;
        let trusted = conns.iter().filter(|conn| !conn.suspect.get());
        let least = trusted.filter(free).min_by_key(|conn| conn.in_flight.get());
        least.or_else(|| least_suspect(&conns)).map(Rc::clone)
    }

    /// A stream became free: those who wait longest get it.
    pub(super) fn freed(self: &Rc<Self>) {
        self.serve(false);
        self.empty();
    }

    fn serve(self: &Rc<Self>, cold: bool) {
        while !self.queue.is_empty() {
            let Some(conn) = self.pick() else { return };
            let Some(grant) = self.queue.pop() else { return };
            // Whoever leaves in this moment drops the lease, which comes back here.
            let _left = grant.send(Ok(Lease::new(conn, self, cold)));
        }
    }

    /// Opens what is wanted, each in a task of its own.
    pub(super) fn tend(self: &Rc<Self>) {
        for _ in 0..wanted(self.view()) {
            self.connecting.set(self.connecting.get() + 1);
            self.publish();
            tokio::task::spawn_local(connect(Rc::clone(self)));
        }
    }

    fn backs_off(&self, now: Instant) -> bool {
        self.shortage.lasts(now) || self.backoff_until.get().is_some_and(|until| now < until)
    }

    fn view(&self) -> View {
        let conns = self.conns.borrow();
        let ours = &self.settings.pool;
        let mut view = View {
            connecting: self.connecting.get(),
            waiting: self.queue.len(),
            per_connection: ours.streams_per_connection,
            min: if self.closed.get() { 0 } else { ours.min_connections },
            max: ours.max_connections,
            backing_off: self.backs_off(Instant::now()),
            ..View::default()
        };
        for conn in conns.iter() {
            match conn.state.get() {
                _ if conn.suspect.get() => {
                    view.suspect += 1;
                    continue;
                }
                State::Ready => view.staying += 1,
                State::Retiring => view.retiring += 1,
                State::Draining => continue,
            }
            view.free += conn.free();
            view.capacity += conn.cap.get();
            view.per_connection = conn.cap.get();
            if conn.version() == http::Version::HTTP_11 {
                // It needs a connection for each stream; the bound is on streams either way.
                view.max = ours.max_connections.saturating_mul(ours.streams_per_connection);
            }
        }
        self.replace_ahead(&mut view);
        view
    }

    fn join(self: &Rc<Self>, fresh: Fresh) {
        let Fresh { connected, wire, peer } = fresh;
        let seed = self.opened.replace(self.opened.get() + 1);
        let retire_at = retire_at(Instant::now(), self.settings.pool.max_age, seed);
        let pool = Rc::clone(self);
        match connected {
            Connected::Http2(sender, io, pings, takes) => {
                let ours = self.settings.pool.streams_per_connection;
                let pinger = Pinger::new(pings, &self.settings.pool);
                let cap = stream_cap(ours, io.max_concurrent_send_streams());
                let sender = Sender::Http2(RefCell::new(sender), RefCell::new(pinger));
                let conn = Rc::new(Conn::new(sender, wire, peer, (cap, takes.get()), retire_at));
                let weak = Rc::downgrade(&conn);
                self.conns.borrow_mut().push(conn);
                tokio::task::spawn_local(async move {
                    connection::http2::drive(io, weak.clone(), &pool.settings.pool, &pool).await;
                    pool.ended(&weak);
                });
            }
            Connected::Http1(sender, io, interims) => {
                let io = SharedIo::new(io, interims);
                let socket = Rc::clone(&wire);
                let sender = Sender::Http1(RefCell::new(sender), Rc::clone(&io));
                let conn = Rc::new(Conn::new(sender, wire, peer, (1, None), retire_at));
                let weak = Rc::downgrade(&conn);
                self.conns.borrow_mut().push(conn);
                tokio::task::spawn_local(async move {
                    connection::http1::drive(io, weak.clone(), &pool).await;
                    socket.closed(Instant::now());
                    pool.ended(&weak);
                });
            }
        }
        self.lost.set(false);
        self.replace_retiring();
        self.publish();
        self.warm.notify_waiters();
        self.serve(true);
        if !self.connector.name().has(peer) {
            // The name moved while this was on its way.
            self.readdressed();
        }
        self.empty();
        self.tend();
        self.watch_idle();
    }

    /// A connection's task ended: the socket is closed.
    fn ended(self: &Rc<Self>, conn: &Weak<Conn>) {
        if let Some(conn) = conn.upgrade() {
            conn.state.set(State::Draining);
            self.forget(&conn);
        }
        self.tend();
    }

    fn connect_failed(&self, error: Error) -> Duration {
        self.meters().connect_failed();
        let failures = self.failures.replace(self.failures.get().saturating_add(1));
        if failures.saturating_add(1).is_power_of_two() {
            // Not each: with a dead upstream every request is a failure, and the metric counts them.
            let cause = std::error::Error::source(&error).map(ToString::to_string);
            tracing::warn!(
                upstream = self.settings.name,
                error = error.kind().code(),
                cause,
                failures = failures.saturating_add(1),
                "cannot connect"
            );
        }
        let kind = error.kind();
        let short = kind == Kind::LocalLimit;
        let on_the_way = self.connecting.get();
        if short || (self.conns.borrow().is_empty() && on_the_way == 0) {
            // Nothing is open and nothing is on the way, or nothing more can be: waiting longer would
            // only hide it. What is on the way is for those who wait longest.
            let served = on_the_way.saturating_mul(self.view().per_connection);
            self.queue.fail_beyond(served, error);
        }
        if short {
            return self.shortage.begin(Instant::now());
        }
        let pause = backoff(BACKOFF, MAX_BACKOFF, failures.min(16), draw());
        self.backoff_until.set(Some(Instant::now() + pause));
        pause
    }

    fn publish(&self) {
        let suspect = self.conns.borrow().iter().filter(|conn| conn.suspect.get()).count() as u64;
        let now = Shown {
            ready: self.conns.borrow().len() as u64 - suspect,
            suspect,
            connecting: self.connecting.get() as u64,
            silent: u64::from(self.is_silent()),
        };
        let before = self.shown.replace(now);
        self.meters().ready.shift(before.ready, now.ready);
        self.meters().suspect.shift(before.suspect, now.suspect);
        self.meters().connecting.shift(before.connecting, now.connecting);
        self.meters().silent.shift(before.silent, now.silent);
    }
}

/// Tells the pool of its name's new addresses.
async fn follow(pool: Weak<Pool>, mut name: ResolvedName) {
    while name.moved().await.is_ok() {
        let Some(pool) = pool.upgrade() else { return };
        pool.readdressed();
    }
}

/// One connect, and after a failure the pause before the pool looks again. Dropped only with the
/// worker.
async fn connect(pool: Rc<Pool>) {
    let began = Instant::now();
    let connected = pool.connector.connect().await;
    pool.connecting.set(pool.connecting.get() - 1);
    pool.publish();
    match connected {
        Ok(fresh) => {
            if pool.failures.take() > 0 {
                tracing::info!(upstream = pool.settings.name, "connected again");
            }
            pool.backoff_until.set(None);
            pool.shortage.end();
            pool.meters().connected(began.elapsed());
            pool.join(fresh);
        }
        Err(error) => {
            let pause = pool.connect_failed(error);
            tokio::time::sleep(pause).await;
            pool.tend();
        }
    }
}
