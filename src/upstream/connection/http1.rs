//! An HTTP/1.1 connection's own task.

use std::rc::{Rc, Weak};
use std::task::Poll;

use super::events::ConnectionEvents;
use super::{Conn, Sender};
use crate::upstream::stream::http1::SharedIo;

/// Runs a connection to its end; ready when the socket is closed. It holds the connection weakly:
/// once pool and leases have let go, hyper finds its sender dropped and closes.
pub(in crate::upstream) async fn drive<E: ConnectionEvents>(
    io: Rc<SharedIo>,
    conn: Weak<Conn>,
    events: &Rc<E>,
) {
    std::future::poll_fn(|cx| {
        if io.poll_driver(cx).is_ready() {
            return Poll::Ready(());
        }
        if let Some(conn) = conn.upgrade()
            && conn.resting.get()
            && let Sender::Http1(sender, _) = &conn.sender
            && let Poll::Ready(Ok(())) = sender.borrow_mut().poll_ready(cx)
        {
            conn.resting.set(false);
            events.stream_freed();
        }
        Poll::Pending
    })
    .await;
}
