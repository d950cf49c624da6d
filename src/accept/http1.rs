//! HTTP/1.1 toward a client.

use std::cell::Cell;
use std::convert::Infallible;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, server};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Sleep;

use super::connection::{Client, Door};
use super::drain::Member;
use crate::error::{Error, Kind};
use crate::relay::attend::Seat;
use crate::wire::{Peer, Stamped};

/// The least that hyper accepts as a bound for its buffers.
const MIN_BUFFER: usize = 8192;

/// Serves a connection to its end. Dropped, it takes the request in flight with it.
pub(super) async fn serve<S>(
    door: &Rc<Door>,
    socket: Stamped<S>,
    client: Rc<Client>,
    member: &mut Member,
) where
    S: AsyncRead + AsyncWrite + Unpin + 'static,
{
    let seat = Seat::default();
    let busy = Rc::new(Cell::new(false));
    let service = service_fn(|request: Request<Incoming>| {
        let (proxy, client) = (Rc::clone(&door.proxy), Rc::clone(&client));
        let busy = Busy::new(&busy);
        // In a box of its own, which is gone once the answer begins: hyper would keep the room for
        // it in every connection, also while a stream runs for minutes.
        Box::pin(async move {
            let answer = proxy.serve(&client, request).await;
            drop(busy);
            Ok::<_, Infallible>(answer)
        })
    });
    let limits = &door.config.limits;
    let mut builder = server::conn::http1::Builder::new();
    builder
        .max_headers(limits.headers)
        .max_header_size(limits.header_bytes)
        .max_buf_size(limits.header_bytes.max(MIN_BUFFER));
    let io = TokioIo::new(socket.clone());
    let mut connection = std::pin::pin!(builder.serve_connection(io, service));
    let mut waiting = Waiting::new(door.config.client.head, door.config.client.idle);
    let ended = std::future::poll_fn(|cx| {
        if member.poll_told(cx) {
            connection.as_mut().graceful_shutdown();
        }
        socket.begin_poll();
        if seat.poll(cx, |cx| connection.as_mut().poll(cx)).is_ready() {
            return Poll::Ready(End::Closed);
        }
        let in_flight = busy.get() || seat.is_taken();
        if in_flight && socket.poll_peer(cx) == Peer::Left {
            return Poll::Ready(End::Closed);
        }
        waiting.poll(cx, in_flight, client.wire.bytes_read())
    })
    .await;
    if ended == End::HeadTooSlow {
        refuse_slow_head(socket.clone()).await;
    }
}

/// Why a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// Either side closed it, or it was idle for long enough.
    Closed,
    /// A request's head was begun and not finished in time.
    HeadTooSlow,
}

/// A request whose answer's head is not there yet.
struct Busy(Rc<Cell<bool>>);

impl Busy {
    fn new(cell: &Rc<Cell<bool>>) -> Self {
        cell.set(true);
        Self(Rc::clone(cell))
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.set(false);
    }
}

/// How long a connection may wait between two requests, and inside a head. hyper's own timer does
/// not tell the two apart: it would close kept-alive connections at the head's deadline.
struct Waiting {
    head: Duration,
    idle: Duration,
    since: Instant,
    /// Bytes read when the wait began; more than that is the beginning of a head.
    read: u64,
    begun: bool,
    first: bool,
    was_in_flight: bool,
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Waiting {
    fn new(head: Duration, idle: Duration) -> Self {
        Self {
            head,
            idle,
            since: Instant::now(),
            read: 0,
            begun: true, // what the protocol was recognised by
            first: true,
            was_in_flight: false,
            sleep: None,
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>, in_flight: bool, read: u64) -> Poll<End> {
        if in_flight {
            self.was_in_flight = true;
            self.sleep = None;
            return Poll::Pending;
        }
        if self.was_in_flight || (self.begun && read == self.read && !self.first) {
            (self.since, self.read, self.begun) = (Instant::now(), read, false);
            (self.was_in_flight, self.first) = (false, false);
            self.sleep = None;
        }
        if !self.begun && read > self.read {
            (self.since, self.begun) = (Instant::now(), true);
            self.sleep = None;
        }
        let (due, end) = if self.begun {
            (self.since + self.head, End::HeadTooSlow)
        } else {
            (self.since + self.idle, End::Closed)
        };
        let sleep =
            self.sleep.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(due.into())));
        sleep.as_mut().poll(cx).map(|()| end)
    }
}

/// Says so and closes. Nothing was written since the last answer, so that this is the answer to the
/// head that did not come.
async fn refuse_slow_head<S: AsyncWrite + Unpin>(mut socket: Stamped<S>) {
    use tokio::io::AsyncWriteExt;
    let (status, headers, body) =
        Error::new(Kind::HeadSlow).response_parts(&http::HeaderValue::from_static("-"));
    let mut answer = format!("HTTP/1.1 {status}\r\nconnection: close\r\n").into_bytes();
    for (name, value) in &headers {
        answer.extend_from_slice(name.as_str().as_bytes());
        answer.extend_from_slice(b": ");
        answer.extend_from_slice(value.as_bytes());
        answer.extend_from_slice(b"\r\n");
    }
    answer.extend_from_slice(b"\r\n");
    answer.extend_from_slice(&body);
    // The socket's buffer is empty; a client that does not even take this gets nothing more.
    let _told = tokio::time::timeout(Duration::from_millis(100), socket.write_all(&answer)).await;
    let _closed = socket.shutdown().await;
}
