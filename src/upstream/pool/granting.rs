//! Which request gets a stream of which connection.

use std::rc::Rc;
use std::time::{Duration, Instant};

use super::Pool;
use super::lease::Lease;
use super::queue::Waiting;
use super::silence::least_suspect;
use crate::error::{Error, Kind};
use crate::record::{Leased, Record};
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

    pub(super) fn serve(self: &Rc<Self>, cold: bool) {
        while !self.queue.is_empty() {
            let Some(conn) = self.pick() else { return };
            let Some(grant) = self.queue.pop() else { return };
            // Whoever leaves in this moment drops the lease, which comes back here.
            let _left = grant.send(Ok(Lease::new(conn, self, cold)));
        }
    }
}
