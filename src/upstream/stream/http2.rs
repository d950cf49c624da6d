//! HTTP/2 toward an upstream, on the `h2` crate itself: the request is queued in the caller's own
//! poll, the caller is woken directly, and the limits that decide who dies with whom are ours.

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use h2::client::{Connection, ResponseFuture, SendRequest};
use h2::{Ping, PingPong, SendStream};
use http::Request;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Sleep;

use super::Broken;
use super::parcel::Parcel;
use crate::config;
use crate::upstream::keepalive::{Heard, Keepalive, PingAction, Times};
use crate::upstream::pool::Pool;
use crate::upstream::pool::connection::{Conn, Sender, State, stream_cap};

/// Streams that we reset are remembered this long, so that frames already on their way to them are
/// not counted as the peer's fault (a cancel storm would otherwise end the connection).
const RESET_MEMORY: Duration = Duration::from_secs(10);

/// And this many at most.
const RESET_STREAMS: usize = 4096;

/// Bytes of one request's body that may wait in h2 for the socket (400 KiB unless set): an upstream that
/// reads slowly makes us hold no more of each. The kernel's own buffer is what keeps the path full.
const SEND_BUFFER: usize = 64 * 1024;

/// What h2 keeps at most of a head. What we take is less, and decided over each head
/// ([`crate::upstream::HeadLimit`]): a larger one fails its stream with a reason of its own, and trailers that h2 cuts
/// short can be told from whole ones. h2 ends the connection, and every stream on it, at four times this: 64
/// MiB are what 16 KiB of references to the largest field can make, the most that one frame holds.
const READS: u32 = 16 * 1024 * 1024;

/// The handshake with our limits; the connection still has to be driven.
pub(in crate::upstream) fn builder(pool: &config::Pool) -> h2::client::Builder {
    let mut builder = h2::client::Builder::new();
    builder
        .initial_window_size(pool.stream_window)
        .initial_connection_window_size(pool.connection_window)
        .max_send_buffer_size(SEND_BUFFER)
        .max_concurrent_reset_streams(RESET_STREAMS)
        .reset_stream_duration(RESET_MEMORY)
        .max_local_error_reset_streams(None)
        // Each unread frame under 256 bytes costs up to 255 of this budget. Frames are at least a
        // byte and unread bytes are at most the window, so that this cannot run out before the
        // window does: the window stays the one bound. The relay drains promptly besides.
        .data_frame_budget((pool.connection_window as usize).saturating_mul(255))
        .max_header_list_size(READS)
        .enable_push(false);
    builder
}

/// Drives a new connection until the peer has answered a PING, and so has sent its SETTINGS, which
/// come first (RFC 9113, section 3.4).
pub(in crate::upstream) async fn warm<T>(
    connection: &mut Connection<T, Parcel>,
) -> Result<PingPong, Box<dyn std::error::Error + Send + Sync>>
where
    T: AsyncRead + AsyncWrite + Unpin,
{
    let mut pings = connection.ping_pong().ok_or("the connection's PINGs are taken")?;
    pings.send_ping(Ping::opaque())?;
    std::future::poll_fn(|cx| {
        if let Poll::Ready(ended) = Pin::new(&mut *connection).poll(cx) {
            return Poll::Ready(match ended {
                Ok(()) => Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
                Err(error) => Err(error.into()),
            });
        }
        pings.poll_pong(cx).map(|pong| pong.map(drop).map_err(Into::into))
    })
    .await
    .map(|()| pings)
}

/// Queues a request. The connection's task is woken to write it.
pub(in crate::upstream) fn open(
    sender: &RefCell<SendRequest<Parcel>>,
    head: Request<()>,
    has_body: bool,
) -> Result<(SendStream<Parcel>, ResponseFuture), Broken> {
    let (response, sending) = sender
        .borrow_mut()
        .send_request(head, !has_body)
        .map_err(|error| Broken::Unsent(error.into()))?;
    Ok((sending, response))
}

/// How a connection's peer is asked whether it lives, and what is known of that.
pub(in crate::upstream) struct Pinger {
    pings: PingPong,
    keepalive: Keepalive,
}

impl Pinger {
    pub(in crate::upstream) fn new(pings: PingPong, pool: &config::Pool) -> Self {
        Self { pings, keepalive: Keepalive::new(Times::of(pool)) }
    }

    /// Asks at once, unless that was done already. The connection's task is woken to write it.
    pub(in crate::upstream) fn ask(&mut self, now: Instant) {
        if self.keepalive.ask(now) {
            self.ping();
        }
    }

    fn ping(&mut self) {
        // An answer that was overtaken by other bytes still stands in h2's way. Nobody need be woken for
        // one: it is read by the connection's own task.
        let _overtaken = self.pings.poll_pong(&mut Context::from_waker(Waker::noop()));
        // Refused only while an earlier PING is unanswered: the question is asked already.
        let _asked = self.pings.send_ping(Ping::opaque());
    }
}

/// Runs a connection to its end; ready when the socket is to be closed. It holds the connection
/// weakly: once pool and leases have let go, h2 finds itself unreferenced, says GOAWAY and closes.
/// Dropped, it closes the socket, and every stream on it fails.
pub(in crate::upstream) async fn drive<T>(
    io: Connection<T, Parcel>,
    conn: Weak<Conn>,
    pool: &Rc<Pool>,
) where
    T: AsyncRead + AsyncWrite + Unpin,
{
    let look = Instant::now() + pool.settings().pool.ping_interval;
    let sleep = Box::pin(tokio::time::sleep_until(look.into()));
    let mut driver = Driver { io, look, sleep, conn, pool };
    std::future::poll_fn(|cx| driver.poll(cx)).await;
}

struct Driver<'a, T> {
    io: Connection<T, Parcel>,
    /// When the sleep ends.
    look: Instant,
    sleep: Pin<Box<Sleep>>,
    conn: Weak<Conn>,
    pool: &'a Rc<Pool>,
}

impl<T: AsyncRead + AsyncWrite + Unpin> Driver<'_, T> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let ended = Pin::new(&mut self.io).poll(cx);
        // Nothing is left to decide for a connection that only its own end is waited for.
        let Some(conn) = self.conn.upgrade() else { return ended.map(drop) };
        if ended.is_ready() {
            if conn.wire.ended_by().is_some() {
                self.pool.flooded(&conn);
            }
            return Poll::Ready(());
        }
        let Sender::Http2(sender, pinger) = &conn.sender else { return Poll::Pending };
        self.see_goaway(&conn, sender, cx);
        self.see_limit(&conn);
        self.listen(&conn, pinger);
        while self.sleep.as_mut().poll(cx).is_ready() {
            if self.tick(&conn, pinger).is_ready() {
                self.pool.gave_up(&conn);
                return Poll::Ready(());
            }
        }
        Poll::Pending
    }

    /// h2 refuses new streams from the moment a GOAWAY is read; streams under it go on.
    fn see_goaway(
        &self,
        conn: &Rc<Conn>,
        sender: &RefCell<SendRequest<Parcel>>,
        cx: &mut Context<'_>,
    ) {
        if conn.accused.get() {
            return;
        }
        if let Poll::Ready(Err(error)) = sender.borrow_mut().poll_ready(cx) {
            conn.accused.set(accuses(&error));
            if conn.state.get() != State::Draining {
                self.pool.on_goaway(conn);
            }
        }
    }

    /// The peer may raise or lower its limit at any time.
    fn see_limit(&self, conn: &Rc<Conn>) {
        let ours = self.pool.settings().pool.streams_per_connection;
        let cap = stream_cap(ours, self.io.max_concurrent_send_streams());
        if cap > conn.cap.replace(cap) {
            self.pool.freed();
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
        self.pool.suspect(conn, suspect);
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
        self.pool.suspect(conn, suspect);
        self.pool.check_age(conn, now);
        Poll::Pending
    }

    fn look_at(&mut self, next: Instant) {
        self.look = next;
        self.sleep.as_mut().reset(next.into());
    }
}

/// The peer's GOAWAY says that something which it was sent is wrong. What becomes of the streams is decided
/// after this: they are woken by the same frame, and look later.
fn accuses(error: &h2::Error) -> bool {
    error.is_go_away() && error.is_remote() && error.reason() != Some(h2::Reason::NO_ERROR)
}

fn heard(conn: &Conn) -> Heard {
    let wire = &conn.wire;
    Heard { at: wire.read_at(), unanswered: wire.unanswered_since(), drained: wire.drained_at() }
}
