//! HTTP/2 toward a client, in clear with prior knowledge.

use std::cell::Cell;
use std::convert::Infallible;
use std::rc::Rc;

use hyper::body::Incoming;
use hyper::rt::Executor;
use hyper::service::service_fn;
use hyper::{Request, server};
use hyper_util::rt::{TokioIo, TokioTimer};

use super::connection::{Client, Door};
use super::drain::Member;
use crate::error::Kind;
use crate::relay::RequestBody;
use crate::relay::attend::attended;
use crate::wire::ClientSocket;

/// Streams that one client connection may have at once; what SDKs and load generators open on one
/// connection, several times over.
const STREAMS: u32 = 1024;

/// And one that may not stay: the request that it came with, and what was sent along.
const STREAMS_REFUSED: u32 = 16;

/// Receive windows for request bodies: a large prompt or audio file flows without a round trip per
/// 64 KiB, and one connection can make us hold no more than this.
const STREAM_WINDOW: u32 = 256 * 1024;
const CONNECTION_WINDOW: u32 = 1024 * 1024;

/// Spawns each stream's task on the worker's own thread, attended while hyper does not ask.
#[derive(Clone)]
struct Local;

impl<F: Future + 'static> Executor<F> for Local {
    fn execute(&self, stream: F) {
        // Boxed before it is wrapped: a future that pins its argument keeps room for it twice.
        tokio::task::spawn_local(attended(Box::pin(stream)));
    }
}

/// Serves a connection to its end. Dropped, it takes every stream with it.
pub(super) async fn serve(
    door: &Rc<Door>,
    socket: ClientSocket,
    client: Rc<Client>,
    member: &mut Member,
) {
    let at = Rc::clone(door);
    let service = service_fn(move |request: Request<Incoming>| {
        let (proxy, client) = (at.proxy(), Rc::clone(&client));
        // In a box of its own, which is gone once the answer begins.
        Box::pin(async move {
            let request = request.map(RequestBody::Http2);
            Ok::<_, Infallible>(proxy.serve(&client, request).await)
        })
    });
    let builder = builder(door, STREAMS);
    let mut connection = std::pin::pin!(builder.serve_connection(TokioIo::new(socket), service));
    if member.is_told() {
        connection.as_mut().graceful_shutdown(); // after what comes with the preface
    }
    std::future::poll_fn(|cx| {
        if member.poll_told(cx) {
            connection.as_mut().graceful_shutdown();
        }
        connection.as_mut().poll(cx).map(drop)
    })
    .await;
}

/// Answers the first request, and those that came with it, with this refusal, and closes. Dropped, it
/// closes at once.
pub(super) async fn refuse(door: &Rc<Door>, socket: ClientSocket, client: Rc<Client>, kind: Kind) {
    let (proxy, answered) = (door.proxy(), Rc::new(Cell::new(false)));
    let told = Rc::clone(&answered);
    let service = service_fn(move |request: Request<Incoming>| {
        told.set(true);
        let answer = proxy.decline(&client, &request.map(RequestBody::Http2), kind);
        std::future::ready(Ok::<_, Infallible>(answer))
    });
    let builder = builder(door, STREAMS_REFUSED);
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

fn builder(door: &Door, streams: u32) -> server::conn::http2::Builder<Local> {
    let header_bytes = u32::try_from(door.proxy().config.limits.header_bytes).unwrap_or(u32::MAX);
    let mut builder = server::conn::http2::Builder::new(Local);
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(streams)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_header_list_size(header_bytes);
    builder
}
