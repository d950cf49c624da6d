//! HTTP/2 toward a client, in clear with prior knowledge.

mod leaving;
mod streams;

use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;

use h2::Reason;
use hyper::body::Incoming;
use hyper::rt::Executor;
use hyper::service::{Service, service_fn};
use hyper::{Request, Response, server};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::AsyncWrite;

use super::acceptor::Acceptor;
use super::closing;
use super::drain::{DrainGuard, Stage};
use super::idle::{Rest, Why};
use crate::admit::Pressure;
use crate::error::Kind;
use crate::proto::http2::{Tally, Watched, go_away};
use crate::proxy::Client;
use crate::record::Hangup;
use crate::relay::drive::driven;
use crate::relay::{RelayBody, RequestBody};
use crate::transport::{ClientSocket, Wire};
use leaving::Leaving;
use streams::{Asking, Counted, Streams};

/// Streams that one client connection may have at once; what SDKs and load generators open on one
/// connection, several times over.
const STREAMS: u32 = 1024;

/// And one that may not stay: the request that it came with, and what was sent along.
const STREAMS_REFUSED: u32 = 16;

/// Receive windows for request bodies: a large prompt or audio file flows without a round trip per
/// 64 KiB, and one connection can make us hold no more than this.
const STREAM_WINDOW: u32 = 256 * 1024;
const CONNECTION_WINDOW: u32 = 1024 * 1024;

/// What is left of the window of a connection where memory is short: RFC 9113's initial one.
const LEAST_WINDOW: u32 = 64 * 1024;

/// The part of a memory ceiling that one connection may take for bodies that wait in its protocol layer,
/// where nobody counts them.
const PART: u64 = 512;

/// Bytes of one answer that may wait in h2 for a client that gives a window and does not read (400 KiB
/// unless set). The kernel's own buffer is what keeps the path full.
const SEND_BUFFER: usize = 64 * 1024;

/// Spawns each stream's task on the worker's own thread, attended while hyper does not ask.
#[derive(Clone)]
struct Local(Option<Rc<Streams>>);

impl<F: Future + 'static> Executor<F> for Local {
    fn execute(&self, stream: F) {
        let counted = self.0.as_ref().map(Counted::new);
        // Boxed before it is wrapped: a future that pins its argument keeps room for it twice.
        let stream = driven(Box::pin(stream));
        tokio::task::spawn_local(async move {
            stream.await;
            drop(counted);
        });
    }
}

/// How a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// All was said, by either side.
    Said,
    /// A newcomer has its place.
    Room,
    /// The client sends what harms others.
    Harm(Kind),
}

/// Serves a connection to its end. Dropped, it takes every stream with it.
pub(super) async fn serve(
    acceptor: &Rc<Acceptor>,
    socket: ClientSocket,
    client: Rc<Client>,
    drain_guard: &mut DrainGuard,
    rest: Rest,
) {
    let wire = Rc::clone(&client.wire);
    let tally = Rc::new(RefCell::new(Tally::of_client(wire.read_at())));
    let streams = Rc::new(Streams::new(rest, Rc::clone(&wire)));
    let watched = Watched::new(socket.clone(), Rc::clone(&wire), Rc::clone(&tally));
    let end = {
        let builder = builder(acceptor, STREAMS, Local(Some(Rc::clone(&streams))));
        let service = request_service(Rc::clone(acceptor), client);
        let mut connection =
            std::pin::pin!(builder.serve_connection(TokioIo::new(watched), service));
        let mut leaving = Leaving::default();
        std::future::poll_fn(|cx| {
            drain_guard.poll_told(cx);
            let told = streams.poll_told(cx);
            if told == Some(Why::Room) {
                return Poll::Ready(End::Room);
            }
            if told == Some(Why::Rest) {
                acceptor.recorder().hung_up(Hangup::Idle);
            }
            if (is_to_finish(drain_guard, &streams) || told.is_some()) && leaving.begin() {
                connection.as_mut().graceful_shutdown(); // after what comes with the preface
            }
            if wire.poll_doomed(cx) {
                return Poll::Ready(End::Said);
            }
            let mut ended = connection.as_mut().poll(cx).is_ready();
            if !ended && is_to_finish(drain_guard, &streams) && leaving.begin() {
                connection.as_mut().graceful_shutdown(); // its first request has just come
                ended = connection.as_mut().poll(cx).is_ready();
            }
            if let Some(harm) = harm(&streams, &wire) {
                // Before the streams' tasks see that it ends.
                wire.end_by(harm);
                return Poll::Ready(End::Harm(harm));
            }
            if ended {
                return Poll::Ready(End::Said);
            }
            let busy = !streams.settle();
            leaving.poll(cx, busy, wire.read_at()).map(|()| End::Said)
        })
        .await
    };
    part(acceptor, &socket, &tally, end).await;
}

/// A lame duck still serves who connects: told before its first request, a client would come back at once,
/// and again.
fn is_to_finish(drain_guard: &DrainGuard, streams: &Streams) -> bool {
    match drain_guard.told() {
        Stage::Serve => false,
        Stage::LameDuck => streams.has_asked(),
        Stage::Drain => true,
    }
}

/// What the client does that harms others.
fn harm(streams: &Streams, wire: &Wire) -> Option<Kind> {
    let cancels = || streams.are_given_up_too_often().then_some(Kind::CancelFlood);
    wire.ended_by().or_else(cancels)
}

/// Says why it ends, where that is not said yet. Dropped, it closes at once.
async fn part(acceptor: &Acceptor, socket: &ClientSocket, tally: &RefCell<Tally>, end: End) {
    let (why, reason) = match end {
        End::Said => return,
        End::Room => (Hangup::Room, Reason::NO_ERROR),
        End::Harm(Kind::CancelFlood) => (Hangup::Cancels, Reason::ENHANCE_YOUR_CALM),
        End::Harm(_) => (Hangup::ControlFrames, Reason::ENHANCE_YOUR_CALM),
    };
    acceptor.recorder().hung_up(why);
    // So many are told at once as are refused at once; the others find it closed.
    let limit_guard = acceptor.proxy().admission.refusal();
    let (between, last) = (tally.borrow().is_between(), tally.borrow().last_stream());
    if limit_guard.is_none() || !between {
        return;
    }
    let frame = go_away(last, reason);
    // At once or not at all: where the kernel has no room for so little, the client does not read.
    let sent = std::future::poll_fn(|cx| {
        Poll::Ready(Pin::new(&mut socket.clone()).poll_write(cx, &frame))
    });
    if matches!(sent.await, Poll::Ready(Ok(_))) {
        closing::close(socket).await;
    }
}

/// What answers a connection's requests.
fn request_service(
    acceptor: Rc<Acceptor>,
    client: Rc<Client>,
) -> impl Service<
    Request<Incoming>,
    Response = Response<RelayBody>,
    Error = Infallible,
    Future = impl Future<Output = Result<Response<RelayBody>, Infallible>> + 'static,
> {
    service_fn(move |request: Request<Incoming>| {
        let (proxy, client) = (acceptor.proxy(), Rc::clone(&client));
        // In a box of its own, which is gone once the answer begins.
        Box::pin(async move {
            let asking = Asking::new(&client.wire);
            let request = request.map(|body| RequestBody::Http2(body, Rc::clone(&client.wire)));
            let answer = proxy.serve(&client, request).await;
            asking.answered();
            Ok::<_, Infallible>(answer)
        })
    })
}

/// Answers the first request, and those that came with it, with this refusal, and closes. Dropped, it
/// closes at once.
pub(super) async fn refuse(
    acceptor: &Rc<Acceptor>,
    socket: ClientSocket,
    client: Rc<Client>,
    kind: Kind,
) {
    let (proxy, answered) = (acceptor.proxy(), Rc::new(Cell::new(false)));
    let told = Rc::clone(&answered);
    let service = service_fn(move |request: Request<Incoming>| {
        told.set(true);
        let request = request.map(|body| RequestBody::Http2(body, Rc::clone(&client.wire)));
        let answer = proxy.decline(&client, request, kind);
        std::future::ready(Ok::<_, Infallible>(answer))
    });
    let builder = builder(acceptor, STREAMS_REFUSED, Local(None));
    let mut connection = std::pin::pin!(builder.serve_connection(TokioIo::new(socket), service));
    let mut leaving = false;
    std::future::poll_fn(|cx| {
        let mut polled = connection.as_mut().poll(cx);
        if !leaving && answered.get() && polled.is_pending() {
            leaving = true;
            connection.as_mut().graceful_shutdown();
            polled = connection.as_mut().poll(cx);
        }
        polled.map(drop)
    })
    .await;
}

fn connection_window(pressure: &Pressure) -> u32 {
    let part = match pressure.ceiling() {
        None => return CONNECTION_WINDOW,
        Some(_) if pressure.is_short() => 0,
        Some(ceiling) => u32::try_from(ceiling / PART).unwrap_or(u32::MAX),
    };
    part.clamp(LEAST_WINDOW, CONNECTION_WINDOW)
}

fn builder(acceptor: &Acceptor, streams: u32, local: Local) -> server::conn::http2::Builder<Local> {
    let proxy = acceptor.proxy();
    let header_bytes = u32::try_from(proxy.config.limits.header_bytes).unwrap_or(u32::MAX);
    let connection = connection_window(proxy.admission.pressure());
    let mut builder = server::conn::http2::Builder::new(local);
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(streams)
        .initial_stream_window_size(STREAM_WINDOW.min(connection))
        .initial_connection_window_size(connection)
        .max_send_buf_size(SEND_BUFFER)
        .max_header_list_size(header_bytes);
    builder
}
