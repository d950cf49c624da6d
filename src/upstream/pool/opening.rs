//! Connections opened ahead of need, each by a task of its own, and what follows where that fails.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::{Rc, Weak};
use std::time::{Duration, Instant};

use super::Pool;
use super::sizing::{View, wanted};
use crate::algo::backoff::{backoff, draw};
use crate::error::{Cause, Error, Kind};
use crate::upstream::connect::{Connected, Fresh};
use crate::upstream::connection::pinger::Pinger;
use crate::upstream::connection::{self, Conn, Sender, State, retire_at, stream_cap};
use crate::upstream::stream::http1::{self, Link};

/// The longest that the first pause after a failed connect can be; doubled with each further failure.
/// A pause is anything below (full jitter): those who lost an upstream together, each worker of each
/// proxy, do not come back together.
const BACKOFF: Duration = Duration::from_millis(100);

/// The longest pause between connects: an upstream that is back is found within this time even if
/// nobody asks for it.
pub(super) const MAX_BACKOFF: Duration = Duration::from_secs(5);

/// One connect as it went, step by step.
#[derive(Debug, Clone, Copy)]
pub struct Trial {
    /// The address that was connected to; `None` for a Unix socket.
    pub peer: Option<SocketAddr>,
    /// From asking for the name's addresses to having them; nothing for a Unix socket.
    pub dns: Duration,
    /// From the first SYN to a TCP connection.
    pub tcp: Duration,
    /// From there to a connection that takes requests: TLS, and for HTTP/2 SETTINGS and one PING.
    pub handshake: Duration,
    /// What is spoken on it.
    pub version: http::Version,
}

impl Pool {
    /// Opens one connection as it would be opened for a request, and keeps it. To be called inside a local
    /// runtime.
    ///
    /// # Errors
    /// What a request would be told.
    pub async fn trial(self: &Rc<Self>) -> Result<Trial, Error> {
        let began = Instant::now();
        if self.settings.socket.is_none() {
            let known = self.connector.name().addresses();
            tokio::time::timeout(self.settings.deadlines.connect, known)
                .await
                .map_err(|_elapsed| Error::new(Kind::Dns))??;
        }
        let dns = began.elapsed();
        let fresh = self.connector.connect().await?;
        let (peer, (tcp, handshake)) = (fresh.peer, fresh.took);
        let version = match fresh.connected {
            Connected::Http2(..) => http::Version::HTTP_2,
            Connected::Http1(..) => http::Version::HTTP_11,
        };
        self.join(fresh);
        Ok(Trial { peer, dns, tcp, handshake, version })
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

    pub(super) fn view(&self) -> View {
        let conns = self.conns.borrow();
        let ours = &self.settings.pool;
        let mut view = View {
            connecting: self.connecting.get(),
            waiting: self.queue.len(),
            per_connection: ours.streams_per_connection,
            min: self.minimum(),
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
        let Fresh { connected, wire, peer, took: _ } = fresh;
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
            Connected::Http1(socket) => {
                let link = Link::new(socket, Rc::clone(&wire));
                let end = http1::watch(Rc::downgrade(&link));
                let conn =
                    Rc::new(Conn::new(Sender::Http1(link), wire, peer, (1, None), retire_at));
                let weak = Rc::downgrade(&conn);
                self.conns.borrow_mut().push(conn);
                tokio::task::spawn_local(async move {
                    end.await;
                    pool.ended(&weak);
                });
            }
        }
        self.lost.set(false);
        self.replace_retiring();
        self.publish();
        self.warm.notify_waiters();
        self.serve(true);
        if peer.is_some_and(|peer| !self.connector.name().has(peer)) {
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
            self.drain(&conn);
        }
        self.tend();
    }

    fn connect_failed(&self, error: Error) -> Duration {
        self.meters().connect_failed();
        let failures = self.failures.replace(self.failures.get().saturating_add(1));
        // Not each: with a dead upstream every request is a failure, and the metric counts them.
        if let Some(told) = self.connector.name().outage().connect_failed(Instant::now()) {
            let address = match &self.settings.socket {
                Some(path) => path.display().to_string(),
                None => self.connector.name().shown(),
            };
            tracing::warn!(
                upstream = self.settings.name,
                address = if address.is_empty() { &self.settings.host } else { &address },
                error = error.kind().code(),
                cause = error.cause().map(Cause::word),
                found = error.found(),
                failures = told.failures,
                "cannot connect to the upstream: {}",
                error.message()
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
            pool.failures.set(0);
            if let Some(told) = pool.connector.name().outage().connected(Instant::now()) {
                let seconds = told.lasts.as_secs_f64();
                let upstream = &pool.settings.name;
                tracing::info!(upstream, seconds, "connected to the upstream again");
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
