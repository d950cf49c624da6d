//! Connections that a burst left behind: closed once they were idle for long enough.
//!
//! A connection costs memory and a descriptor here and at its peer. What the minimum and the streams under
//! way ask for stays, so that nothing that is closed is opened again.
//!
//! HTTP/1.1 has no GOAWAY: a server closes an idle connection when it likes, and a request on its way then is lost.
//! So there none is used that was idle for `pool.max_idle`, which is less than servers wait; what is kept warm is
//! replaced before that.

pub(super) mod ahead;

use std::rc::{Rc, Weak};
use std::time::{Duration, Instant};

use super::Pool;
use super::sizing::can_spare;
use crate::upstream::connection::{Conn, State};

/// The shortest time between two looks.
const OFTEN: Duration = Duration::from_millis(5);

/// Connections closed in one turn of the loop.
const AT_A_TIME: usize = 16;

impl Pool {
    /// Looks for idle connections until there are no more than the minimum. Requests pay nothing: a look
    /// compares what each connection had carried at the look before.
    pub(super) fn watch_idle(self: &Rc<Self>) {
        if self.has_to_watch() && !self.watches_idle.replace(true) {
            let pool = &self.settings.pool;
            let every = if self.is_http1() { pool.idle.min(pool.max_idle / 4) } else { pool.idle };
            tokio::task::spawn_local(watch(Rc::downgrade(self), (every / 2).max(OFTEN)));
        }
    }

    fn is_http1(&self) -> bool {
        self.conns.borrow().first().is_some_and(|conn| conn.http1().is_some())
    }

    fn has_to_watch(&self) -> bool {
        self.conns.borrow().len() > self.settings.pool.min_connections || self.is_http1()
    }

    /// Closes what no request may be put on any more, and has what is kept warm replaced ahead of that. Each goes
    /// too if it is old.
    fn refresh_idle(self: &Rc<Self>, now: Instant) {
        let longest = self.settings.pool.max_idle;
        let conns = self.conns.borrow().clone();
        for conn in conns.iter().filter(|conn| conn.in_flight.get() == 0) {
            let Some(link) = conn.http1() else { return };
            let idle = link.idle_for(now);
            if idle >= longest {
                self.drain(conn);
            } else if now >= conn.retire_at || (idle >= longest / 4 * 3 && self.ahead.pays()) {
                self.retire(conn);
            }
        }
        self.tend();
    }

    /// Closes some of what was idle for the whole of `pool.idle` and is not needed. Whether there may be
    /// more: closing thousands in one turn would hold up those who are served.
    fn close_idle(&self, now: Instant) -> bool {
        let conns = self.conns.borrow();
        let usable =
            conns.iter().filter(|conn| conn.state.get() == State::Ready && !conn.suspect.get());
        let long = |conn: &&Rc<Conn>| {
            conn.idle_since(now).is_some_and(|since| now - since >= self.settings.pool.idle)
        };
        let mut idle: Vec<_> = usable.filter(long).map(Rc::clone).collect();
        drop(conns);
        let mut closed = false;
        // The newest first: those who pick prefer the oldest.
        for conn in idle.drain(..).rev().take(AT_A_TIME) {
            if !can_spare(self.view(), conn.cap.get()) {
                return false;
            }
            self.drain(&conn);
            closed = true;
        }
        closed
    }

    /// Whether there is anything left to watch.
    fn goes_on(&self) -> bool {
        self.watches_idle.set(self.has_to_watch() && !self.closed.get());
        self.watches_idle.get()
    }
}

/// It ends by itself once no more than the minimum is open, and with the pool.
async fn watch(pool: Weak<Pool>, every: Duration) {
    loop {
        tokio::time::sleep(every).await;
        let Some(pool) = pool.upgrade() else { return };
        let now = Instant::now();
        pool.refresh_idle(now);
        while pool.close_idle(now) {
            tokio::task::yield_now().await;
        }
        if !pool.goes_on() {
            return;
        }
    }
}
