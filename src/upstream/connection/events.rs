//! What a connection's task tells whoever keeps the connection.

use std::rc::Rc;
use std::time::Instant;

use super::Conn;

/// Whoever keeps connections and hears of them: a pool. Drivers are generic over it, so that no call goes
/// through a table.
pub(in crate::upstream) trait ConnectionEvents {
    /// A stream more can be had than before.
    fn stream_freed(self: &Rc<Self>);

    /// The peer said GOAWAY: what is on the connection finishes, nothing new goes there.
    fn sent_away(self: &Rc<Self>, conn: &Rc<Conn>);

    /// Whether the peer is silent for longer than is usual. Said at each look, news or not.
    fn silent(self: &Rc<Self>, conn: &Rc<Conn>, is_silent: bool);

    /// The connection ends now: nothing came for the whole timeout.
    fn ends_for_silence(self: &Rc<Self>, conn: &Rc<Conn>);

    /// The connection ends now: frames came without end that carry nothing.
    fn ends_for_flood(self: &Rc<Self>, conn: &Rc<Conn>);

    /// Its task looked at the connection, as it does each `ping_interval` at least: it may be old, or not needed.
    fn looked_at(self: &Rc<Self>, conn: &Rc<Conn>, now: Instant);
}
