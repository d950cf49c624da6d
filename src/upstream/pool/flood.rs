//! Connections on which frames come without end that carry nothing.

use std::rc::Rc;
use std::time::Instant;

use super::Pool;
use super::opening::MAX_BACKOFF;
use crate::error::Cause;
use crate::upstream::connection::Conn;

impl Pool {
    /// The connection's task ends it now. An upstream that does so on one will do it on the next: a new
    /// connection waits, unless a request has nowhere else to go.
    pub(super) fn flooded(self: &Rc<Self>, conn: &Conn) {
        conn.ended_for.set(Some(Cause::Flooded));
        self.meters().flooded();
        let (upstream, streams) = (&self.settings.name, conn.in_flight.get());
        tracing::warn!(
            upstream,
            streams,
            "closing an upstream connection: it sent too many control frames"
        );
        self.backoff_until.set(Some(Instant::now() + MAX_BACKOFF));
        let pool = Rc::downgrade(self);
        tokio::task::spawn_local(async move {
            tokio::time::sleep(MAX_BACKOFF).await;
            if let Some(pool) = pool.upgrade() {
                pool.tend();
            }
        });
    }
}
