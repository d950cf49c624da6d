//! Connections on their way out: sent away, old, used up, or at an address that the name no longer has.
//!
//! What is on them goes on to its end. One that leaves by our choice is replaced before it goes.

use std::rc::Rc;
use std::time::Instant;

use super::Pool;
use crate::upstream::connection::{Conn, State};

impl Pool {
    /// The peer said GOAWAY: what is on the connection finishes, nothing new goes there.
    pub(super) fn on_goaway(self: &Rc<Self>, conn: &Rc<Conn>) {
        self.peer_limit.saw_goaway_after(conn.served.get());
        self.drain(conn);
        self.tend();
    }

    pub(super) fn drain(&self, conn: &Rc<Conn>) {
        if conn.state.replace(State::Draining) == State::Draining {
            return;
        }
        if conn.served.get() == 0 && conn.http1().is_some() {
            self.ahead.in_vain();
            // Whoever waits for the minimum waits in vain where none is kept.
            self.warm.notify_waiters();
        }
        conn.draining.replace(Some(self.meters().draining.enter()));
        self.forget(conn);
    }

    /// Takes a connection out of the choice. The leases on it keep it alive until they end.
    pub(super) fn forget(&self, conn: &Rc<Conn>) {
        self.conns.borrow_mut().retain(|known| !Rc::ptr_eq(known, conn));
        self.publish();
    }

    /// Replaces a connection ahead of time once it is old, or closes one that need not be kept.
    pub(super) fn check_age(self: &Rc<Self>, conn: &Rc<Conn>, now: Instant) {
        if now >= conn.retire_at {
            self.retire(conn);
        }
        self.let_go(conn);
    }

    /// Replaces a connection ahead of time once it carried its share of requests.
    pub(super) fn check_requests(self: &Rc<Self>, conn: &Rc<Conn>) {
        let most = self.settings.pool.max_requests.min(self.peer_limit.leave_at());
        if conn.served.get() >= most {
            self.retire(conn);
        }
    }

    /// The name has other addresses: connections to those that it no longer has are replaced ahead of
    /// time, and where nothing could be connected to, the new ones are tried at once.
    pub(super) fn readdressed(self: &Rc<Self>) {
        self.backoff_until.set(None);
        let conns = self.conns.borrow().clone();
        let gone = |peer| !self.connector.name().has(peer);
        for conn in conns.iter().filter(|conn| conn.peer.is_some_and(gone)) {
            self.retire(conn);
        }
        self.tend();
    }

    pub(super) fn retire(self: &Rc<Self>, conn: &Rc<Conn>) {
        if conn.state.get() == State::Ready {
            conn.state.set(State::Retiring);
            self.tend();
        }
        self.replace_retiring();
    }

    /// Drains retiring connections for which there is a replacement.
    pub(super) fn replace_retiring(&self) {
        let min = self.settings.pool.min_connections.max(1);
        let view = self.view();
        if view.staying < min {
            return;
        }
        let retiring: Vec<_> = self
            .conns
            .borrow()
            .iter()
            .filter(|conn| conn.state.get() == State::Retiring)
            .map(Rc::clone)
            .collect();
        for conn in retiring {
            self.drain(&conn);
        }
    }
}
