//! Which request gets a stream of which connection.

use std::rc::Rc;
use std::time::{Duration, Instant};

use super::Pool;
use super::lease::Lease;
use super::queue::Waiting;
use super::silence::least_suspect;
use crate::error::{Error, Kind};
use crate::record::{Cold, Leased, Record};
use crate::upstream::connection::Conn;

impl Pool {
    /// The right to one stream for `record`'s request.
    ///
    /// Dropped while it waits, it leaves the queue; a lease granted in that moment goes to the next.
    ///
    /// # Errors
    /// The queue is full, the wait was too long, or connecting failed and nothing is open; or it failed for
    /// want of sockets, which no wait gives.
    pub async fn lease(self: &Rc<Self>, record: &Rc<Record>) -> Result<Lease, Error> {
        if let Some(conn) = self.pick(self.settings.pool.max_idle) {
            let lease = Lease::new(conn, self, false);
            record.leased(Leased { waited: Duration::ZERO, cold: None, version: lease.version() });
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
        let why_cold = self.why_cold();
        let waiting = Waiting::new(self);
        self.tend();
        let lease = tokio::time::timeout(self.settings.pool.queue_timeout, waiting)
            .await
            .map_err(|_elapsed| Error::new(Kind::PoolQueueTimeout))??;
        let waited = asked.elapsed();
        let cold = lease.is_cold().then_some(why_cold);
        record.leased(Leased { waited, cold, version: lease.version() });
        Ok(lease)
    }

    /// One that can be asked, as far as can be known: what turns out to have ended goes, and over HTTP/1.1 what was
    /// idle for `longest`.
    fn pick(&self, longest: Duration) -> Option<Rc<Conn>> {
        loop {
            let conn = self.least_loaded()?;
            let Some(link) = conn.http1() else { return Some(conn) };
            if link.is_sound(longest, Instant::now()) {
                return Some(conn);
            }
            self.drain(&conn);
        }
    }

    /// Why one more request would have to wait for a connect: whether the minimum, had it been open, could
    /// have carried it with all that is under way or waits.
    fn why_cold(&self) -> Cold {
        let each = if self.shares_connections() { self.view().per_connection } else { 1 };
        let carries = |connections: usize| self.load() < (connections * each) as u64;
        if carries(self.minimum()) {
            Cold::BelowMinimum
        } else if carries(self.settings.pool.min_connections) {
            Cold::Idle
        } else {
            Cold::Burst
        }
    }

    /// Least loaded first, the oldest on a tie: so that connections opened together do not use up
    /// their peers' request limits together. Where all are suspect, the one that was heard last: what
    /// may work is not refused.
    fn least_loaded(&self) -> Option<Rc<Conn>> {
        let conns = self.conns.borrow();
        let trusted = conns.iter().filter(|conn| !conn.suspect.get() && conn.free() > 0);
        let mut least: Option<&Rc<Conn>> = None;
        for conn in trusted {
            if conn.in_flight.get() == 0 {
                return Some(Rc::clone(conn));
            }
            if least.is_none_or(|least| conn.in_flight.get() < least.in_flight.get()) {
                least = Some(conn);
            }
        }
        least.or_else(|| least_suspect(&conns)).map(Rc::clone)
    }

    /// A stream became free: those who wait longest get it.
    pub(super) fn freed(self: &Rc<Self>) {
        self.serve(false);
        self.empty();
    }

    pub(super) fn serve(self: &Rc<Self>, cold: bool) {
        // What was connected for those who wait is young enough, however short the limit.
        let longest = if cold { Duration::MAX } else { self.settings.pool.max_idle };
        while !self.queue.is_empty() {
            let Some(conn) = self.pick(longest) else { return };
            let Some(grant) = self.queue.pop() else { return };
            // Whoever leaves in this moment drops the lease, which comes back here.
            let _left = grant.send(Ok(Lease::new(conn, self, cold)));
        }
    }
}
