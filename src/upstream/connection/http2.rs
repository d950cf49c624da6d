//! An HTTP/2 connection's own task: drives it, and sees what its peer does.

use std::cell::RefCell;
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::task::{Context, Poll};
use std::time::Instant;

use h2::client::{Connection, SendRequest};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Sleep;

use super::events::ConnectionEvents;
use super::pinger::Pinger;
use super::{Conn, Sender, State, stream_cap};
use crate::config;
use crate::error::Cause;
use crate::upstream::keepalive::{Heard, PingAction};
use crate::upstream::stream::parcel::Parcel;

/// Runs a connection to its end; ready when the socket is to be closed. It holds the connection
/// weakly: once pool and leases have let go, h2 finds itself unreferenced, says GOAWAY and closes.
/// Dropped, it closes the socket, and every stream on it fails.
pub(in crate::upstream) async fn drive<T, E>(
    io: Connection<T, Parcel>,
    conn: Weak<Conn>,
    settings: &config::Pool,
    events: &Rc<E>,
) where
    T: AsyncRead + AsyncWrite + Unpin,
    E: ConnectionEvents,
{
    let look = Instant::now() + settings.ping_interval;
    let sleep = Box::pin(tokio::time::sleep_until(look.into()));
    let streams = settings.streams_per_connection;
    let mut driver = Driver { io, look, sleep, armed: false, conn, streams, events };
    std::future::poll_fn(|cx| driver.poll(cx)).await;
}

struct Driver<'a, T, E> {
    io: Connection<T, Parcel>,
    /// When the sleep ends.
    look: Instant,
    sleep: Pin<Box<Sleep>>,
    /// It wakes the task: until it does, it need not be asked.
    armed: bool,
    conn: Weak<Conn>,
    /// Streams that we put on it at most.
    streams: usize,
    events: &'a Rc<E>,
}

impl<T, E> Driver<'_, T, E>
where
    T: AsyncRead + AsyncWrite + Unpin,
    E: ConnectionEvents,
{
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let ended = Pin::new(&mut self.io).poll(cx);
        // Nothing is left to decide for a connection that only its own end is waited for.
        let Some(conn) = self.conn.upgrade() else { return ended.map(drop) };
        if ended.is_ready() {
            if conn.wire.ended_by().is_some() {
                self.events.ends_for_flood(&conn);
            }
            return Poll::Ready(());
        }
        let Sender::Http2(sender, pinger) = &conn.sender else { return Poll::Pending };
        self.see_goaway(&conn, sender, cx);
        self.see_limit(&conn);
        self.listen(&conn, pinger);
        while self.is_due(cx) {
            if self.tick(&conn, pinger).is_ready() {
                self.events.ends_for_silence(&conn);
                return Poll::Ready(());
            }
        }
        Poll::Pending
    }

    /// Whether it is time to look. This is a task of its own, so that who is to be woken stays the same and
    /// need not be told at each poll.
    fn is_due(&mut self, cx: &mut Context<'_>) -> bool {
        if self.armed && !self.sleep.is_elapsed() {
            return false;
        }
        self.armed = self.sleep.as_mut().poll(cx).is_pending();
        !self.armed
    }

    /// h2 refuses new streams from the moment a GOAWAY is read; streams under it go on.
    fn see_goaway(
        &self,
        conn: &Rc<Conn>,
        sender: &RefCell<SendRequest<Parcel>>,
        cx: &mut Context<'_>,
    ) {
        if conn.accused.get().is_some() {
            return;
        }
        if let Poll::Ready(Err(error)) = sender.borrow_mut().poll_ready(cx) {
            conn.accused.set(accuses(&error));
            if conn.state.get() != State::Draining {
                self.events.sent_away(conn);
            }
        }
    }

    /// The peer may raise or lower its limit at any time.
    fn see_limit(&self, conn: &Rc<Conn>) {
        let cap = stream_cap(self.streams, self.io.max_concurrent_send_streams());
        if cap > conn.cap.replace(cap) {
            self.events.stream_freed();
        }
    }

    /// Bytes that came may answer a PING; what was sent, or asked out of turn, brings the next look
    /// forward. On a connection with traffic that is once in `ping_after`, however much there is.
    fn listen(&mut self, conn: &Rc<Conn>, pinger: &RefCell<Pinger>) {
        let known = heard(conn);
        let mut pinger = pinger.borrow_mut();
        if known.unanswered.is_none() && !pinger.keepalive.is_asking() {
            return;
        }
        pinger.keepalive.hear(known.at);
        let (due, suspect) = (pinger.keepalive.due(known), pinger.keepalive.is_suspect());
        drop(pinger);
        if due < self.look {
            self.look_at(due);
        }
        self.events.silent(conn, suspect);
    }

    fn tick(&mut self, conn: &Rc<Conn>, pinger: &RefCell<Pinger>) -> Poll<()> {
        let now = Instant::now();
        let mut pinger = pinger.borrow_mut();
        let next = match pinger.keepalive.tick(now, heard(conn)) {
            PingAction::Rest(next) => next,
            PingAction::Ping(next) => {
                pinger.ping();
                next
            }
            PingAction::Dead => return Poll::Ready(()),
        };
        let suspect = pinger.keepalive.is_suspect();
        drop(pinger);
        self.look_at(next);
        self.events.silent(conn, suspect);
        self.events.looked_at(conn, now);
        Poll::Pending
    }

    fn look_at(&mut self, next: Instant) {
        self.look = next;
        self.armed = false;
        self.sleep.as_mut().reset(next.into());
    }
}

/// The peer's GOAWAY says that something which it was sent is wrong. What becomes of the streams is decided
/// after this: they are woken by the same frame, and look later.
fn accuses(error: &h2::Error) -> Option<Cause> {
    let code = error.reason().filter(|code| *code != h2::Reason::NO_ERROR)?;
    (error.is_go_away() && error.is_remote()).then(|| Cause::of_goaway(code))
}

fn heard(conn: &Conn) -> Heard {
    let wire = &conn.wire;
    Heard { at: wire.read_at(), unanswered: wire.unanswered_since(), drained: wire.drained_at() }
}
