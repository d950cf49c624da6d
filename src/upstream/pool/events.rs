//! What the pool does about what its connections' tasks tell it.

use std::rc::Rc;
use std::time::Instant;

use super::Pool;
use crate::upstream::connection::Conn;
use crate::upstream::connection::events::ConnectionEvents;

impl ConnectionEvents for Pool {
    fn stream_freed(self: &Rc<Self>) {
        self.freed();
    }

    fn sent_away(self: &Rc<Self>, conn: &Rc<Conn>) {
        self.on_goaway(conn);
    }

    fn silent(self: &Rc<Self>, conn: &Rc<Conn>, is_silent: bool) {
        self.suspect(conn, is_silent);
    }

    fn ends_for_silence(self: &Rc<Self>, conn: &Rc<Conn>) {
        self.gave_up(conn);
    }

    fn ends_for_flood(self: &Rc<Self>, conn: &Rc<Conn>) {
        self.flooded(conn);
    }

    fn looked_at(self: &Rc<Self>, conn: &Rc<Conn>, now: Instant) {
        self.check_age(conn, now);
    }
}
