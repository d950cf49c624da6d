//! Warm connections: HTTP/1.1 ones lent to one request at a time, HTTP/2 ones shared.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use super::clock::Mono;
use super::dial_error::DialError;
use super::http::connection::{Connection, SendOptions};
use super::http::dial::dial;
use super::http::h1::H1;
use super::http::h2::H2;
use super::outcome::Outcome;
use super::progress::Watch;
use super::request::Request;
use super::target::Target;

/// Streams one HTTP/2 connection carries before another is opened, unless said otherwise: the
/// least that servers commonly allow.
pub const STREAMS_PER_CONNECTION: usize = 100;

/// Connections to one target. A request never waits for a connection in use: where none is free,
/// one more is opened, and counted.
#[derive(Debug)]
pub struct Pool {
    target: Target,
    idle: Mutex<Idle>,
    streams: usize,
    cold: bool,
    opened: AtomicU64,
}

#[derive(Debug, Default)]
struct Idle {
    /// Free connections, the last used on top.
    http1: Vec<H1>,
    /// All open connections; the count beside each is of its leases, plus one.
    http2: Vec<(H2, Arc<()>)>,
}

impl Pool {
    /// Connections to `target`, none of them open yet.
    pub fn warm(target: Target) -> Arc<Self> {
        Arc::new(Self::new(target, STREAMS_PER_CONNECTION, false))
    }

    /// As [`Pool::warm`], with at most `streams` requests at a time on an HTTP/2 connection.
    pub fn sharing(target: Target, streams: usize) -> Arc<Self> {
        Arc::new(Self::new(target, streams.max(1), false))
    }

    /// A pool that keeps nothing: each request opens a connection of its own.
    pub fn cold(target: Target) -> Arc<Self> {
        Arc::new(Self::new(target, 1, true))
    }

    fn new(target: Target, streams: usize, cold: bool) -> Self {
        Self { target, idle: Mutex::default(), streams, cold, opened: AtomicU64::new(0) }
    }

    /// Opens `count` connections ahead of need; none where the pool keeps nothing.
    pub async fn open(&self, count: usize) -> Result<(), DialError> {
        for _ in 0..if self.cold { 0 } else { count } {
            let lease = self.dial().await?;
            self.give_back(lease);
        }
        Ok(())
    }

    /// Opens as many connections as `requests` at a time need, which the protocol decides.
    pub async fn open_for(&self, requests: usize) -> Result<(), DialError> {
        if self.cold || requests == 0 {
            return Ok(());
        }
        let lease = self.dial().await?;
        let shared = matches!(lease.connection, Connection::Http2(_));
        self.give_back(lease);
        let all = if shared { requests.div_ceil(self.streams) } else { requests };
        self.open(all - 1).await
    }

    /// How many connections have been opened so far.
    pub fn opened(&self) -> u64 {
        self.opened.load(Ordering::Relaxed)
    }

    /// Sends `request` on a connection of the pool; a failure to get one is an outcome too.
    ///
    /// Dropped midway, it closes an HTTP/1.1 connection and resets an HTTP/2 stream.
    pub async fn send<W: Watch>(
        &self,
        request: &Request,
        due: Mono,
        options: &SendOptions,
        watch: &mut W,
    ) -> Outcome {
        let started = Mono::now();
        let (mut lease, connected) = match self.free() {
            Some(lease) => (lease, None),
            None => match self.dial().await {
                Ok(lease) => (lease, Some(Mono::now())),
                Err(error) => return Outcome::unconnected(due, started, &error),
            },
        };
        let mut outcome = lease.connection.send(request, due, options, watch).await;
        outcome.stamps.started = started;
        outcome.stamps.connected = connected;
        self.give_back(lease);
        outcome
    }

    async fn dial(&self) -> Result<Lease, DialError> {
        self.opened.fetch_add(1, Ordering::Relaxed);
        let lease = Lease { connection: dial(&self.target).await?, share: Arc::default() };
        if let (Connection::Http2(h2), false, Ok(mut idle)) =
            (&lease.connection, self.cold, self.idle.lock())
        {
            idle.http2.push((h2.clone(), lease.share.clone()));
        }
        Ok(lease)
    }

    fn free(&self) -> Option<Lease> {
        let mut idle = self.idle.lock().ok()?;
        while let Some(mut h1) = idle.http1.pop() {
            if h1.is_open() {
                return Some(Lease { connection: Connection::Http1(h1), share: Arc::default() });
            }
        }
        idle.http2.retain_mut(|(h2, _)| h2.is_open());
        let least = idle.http2.iter_mut().min_by_key(|(_, share)| Arc::strong_count(share));
        let (h2, share) = least?;
        if Arc::strong_count(share) > self.streams.min(h2.stream_limit()) {
            return None;
        }
        Some(Lease { connection: Connection::Http2(h2.clone()), share: share.clone() })
    }

    fn give_back(&self, lease: Lease) {
        // An HTTP/2 connection never left.
        if let Connection::Http1(mut h1) = lease.connection
            && !self.cold
            && h1.is_open()
            && let Ok(mut idle) = self.idle.lock()
        {
            idle.http1.push(h1);
        }
    }
}

/// A connection lent to one request.
#[derive(Debug)]
struct Lease {
    connection: Connection,
    /// Counts this lease against its HTTP/2 connection.
    share: Arc<()>,
}
