//! Connections whose peer fell silent: suspect first, given up later.
//!
//! Those on them go on, for the peer may wake; new ones go elsewhere, and a replacement is opened ahead. A
//! peer that is silent on one connection may be silent on all (a frozen process, a lost path): the others
//! are asked at once.

use std::rc::Rc;
use std::time::Instant;

use super::Pool;
use crate::error::Cause;
use crate::record::Silence;
use crate::upstream::connection::{Conn, Sender};

/// Where none is trusted, the one that was heard last and has a stream free.
pub(super) fn least_suspect(conns: &[Rc<Conn>]) -> Option<&Rc<Conn>> {
    let all = conns.iter().all(|conn| conn.suspect.get());
    let free = conns.iter().filter(|conn| all && conn.free() > 0);
    free.max_by_key(|conn| conn.wire.read_at())
}

impl Pool {
    /// No open connection answers, or the last one was given up for that and there is no other yet. A
    /// group had better ask somebody else. Never once it is closed: nobody asks, and no connect would take
    /// it back.
    pub fn is_silent(&self) -> bool {
        if self.closed.get() {
            return false;
        }
        let conns = self.conns.borrow();
        if conns.is_empty() { self.lost.get() } else { conns.iter().all(|c| c.suspect.get()) }
    }

    /// What the connection's task thinks of its peer.
    pub(super) fn suspect(self: &Rc<Self>, conn: &Rc<Conn>, suspect: bool) {
        if conn.suspect.replace(suspect) == suspect {
            return;
        }
        let step = if suspect { Silence::Suspected } else { Silence::Cleared };
        self.meters().silence(step);
        self.publish();
        let (upstream, streams) = (&self.settings.name, conn.in_flight.get());
        if suspect {
            tracing::warn!(
                upstream,
                streams,
                "an upstream connection does not answer PING: new requests use other connections"
            );
            self.ask_others(conn);
        } else {
            tracing::info!(upstream, streams, "a silent upstream connection responds again");
            self.freed();
        }
        self.tend();
    }

    /// The connection's task ends it now: nothing came for the whole timeout.
    pub(super) fn gave_up(&self, conn: &Rc<Conn>) {
        conn.suspect.set(true);
        conn.ended_for.set(Some(Cause::Silent));
        self.meters().silence(Silence::GivenUp);
        let (upstream, streams) = (&self.settings.name, conn.in_flight.get());
        tracing::warn!(
            upstream,
            streams,
            "closing a silent upstream connection: no answer to PING within ping_timeout"
        );
        self.lost.set(self.conns.borrow().iter().all(|open| open.suspect.get()));
        self.ask_others(conn);
    }

    fn ask_others(&self, silent: &Rc<Conn>) {
        let now = Instant::now();
        for other in self.conns.borrow().iter().filter(|other| !Rc::ptr_eq(other, silent)) {
            if let Sender::Http2(_, pinger) = &other.sender {
                pinger.borrow_mut().ask(now);
            }
        }
    }
}
