//! Connections kept apart for requests that may cost one.
//!
//! A server that cannot read a head may end the connection over it, and every stream on it dies; nginx does so for
//! any trailers. Some servers say which heads they take; most do not, or take less than they say. So large heads,
//! and requests that announce trailers, go where they can harm only their like: to a pool of its own, by the same
//! settings but for a minimum. It opens connections when they are asked for and closes them when they are not.

use std::rc::Rc;
use std::sync::Arc;

use super::Pool;
use super::sizing::View;
use crate::config::{self, Protocol, Scheme};
use crate::upstream::connection::Conn;

impl Pool {
    /// Whether streams share connections: over HTTP/1.1 none does. Before ALPN has said it, they may.
    pub(in crate::upstream) fn shares_connections(&self) -> bool {
        match (self.settings.protocol, self.settings.scheme) {
            (Protocol::Http1, _) | (Protocol::Auto, Scheme::Http) => false,
            (Protocol::Http2, _) => true,
            (Protocol::Auto, Scheme::Https) => {
                let conns = self.conns.borrow();
                conns.first().is_none_or(|conn| conn.version() == http::Version::HTTP_2)
            }
        }
    }

    /// The pool beside this one, started. To be called inside a local runtime.
    pub(in crate::upstream) fn apart(&self) -> Rc<Self> {
        let mut settings = config::Upstream::clone(&self.settings);
        settings.pool.min_connections = 0;
        let settings = Arc::new(settings);
        let connector = self.connector.by(Arc::clone(&settings));
        let apart = Self::of((self.id, true), settings, connector, self.recorder.clone());
        apart.start();
        apart
    }

    /// One without a minimum replaces what it has in use all the same.
    pub(super) fn replace_ahead(&self, view: &mut View) {
        let in_use = |conn: &Rc<Conn>| conn.in_flight.get() > 0;
        if self.apart && view.retiring > 0 && !self.closed.get() {
            view.min = usize::from(self.conns.borrow().iter().any(in_use));
        }
    }

    /// One without a minimum keeps nothing that is not used.
    pub(super) fn let_go(&self, conn: &Rc<Conn>) {
        if self.apart && conn.rests() {
            self.drain(conn);
        }
    }
}
