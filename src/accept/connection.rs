//! One client connection, from its first byte to its end.

use std::net::SocketAddr;
use std::rc::Rc;
use std::task::Poll;
use std::time::{Duration, Instant};

use tokio::net::TcpStream;

use super::acceptor::Acceptor;
use super::detect::{Protocol, detect};
use super::drain::{DrainGuard, Stage};
use super::idle::Rest;
use super::{http1, http2, refusal};
use crate::admit;
use crate::proto::http1::Hints;
use crate::proxy::Client;
use crate::record::Hangup;
use crate::transport::{self, ReadAhead, Stamped, WriteStall};

/// How long a drain waits for the first byte of a connection that was accepted before: a round trip to any
/// client, and what a busy machine adds.
const FIRST_WORDS: Duration = Duration::from_secs(1);

/// Serves a connection to its end. A drain waits for it from the call on, which comes before the first
/// poll. Dropped, everything on it is cancelled at once.
pub(super) fn serve(
    acceptor: Rc<Acceptor>,
    stream: TcpStream,
    address: SocketAddr,
) -> impl Future<Output = ()> {
    let drain_guard = acceptor.join();
    run(acceptor, stream, address, drain_guard)
}

async fn run(
    acceptor: Rc<Acceptor>,
    stream: TcpStream,
    address: SocketAddr,
    mut drain_guard: DrainGuard,
) {
    let began = Instant::now();
    let rest = match acceptor.enter(began) {
        Ok(rest) => rest,
        // Boxed: a connection that may stay has no room for it.
        Err(kind) => {
            drop(drain_guard); // a drain waits for no refusal
            return Box::pin(refusal::refuse(&acceptor, stream, address, kind)).await;
        }
    };
    let _counted = acceptor.recorder().client_connection();
    let (stall, head) = {
        let client = &acceptor.proxy().config.client;
        (client.write_stall, client.head)
    };
    if transport::tune(&stream).and_then(|()| transport::tune_client(&stream, stall)).is_err() {
        return; // the client left before we could look
    }
    let on_loopback = stream
        .local_addr()
        .is_ok_and(|local| admit::is_on_loopback(local, &acceptor.proxy().config.listen));
    let stream = WriteStall::new(Stamped::new(stream, began), stall);
    let (wire, hints) = (Rc::clone(stream.wire()), Hints::default());
    let client = Rc::new(Client { address, on_loopback, wire, hints });
    let socket = ReadAhead::new(stream);
    let protocol = {
        let detected = tokio::time::timeout(head, detect(&socket));
        first_words(&acceptor, std::pin::pin!(detected), &mut drain_guard, &rest).await
    };
    match protocol {
        Some(Ok(Ok(Some(Protocol::Http1)))) => {
            // Boxed, so that a task has room for the protocol that it speaks and no other.
            Box::pin(http1::serve(&acceptor, socket, client, &mut drain_guard, rest, began)).await;
        }
        Some(Ok(Ok(Some(Protocol::Http2)))) => {
            Box::pin(http2::serve(&acceptor, socket, client, &mut drain_guard, rest)).await;
        }
        Some(Err(_silent)) => acceptor.recorder().hung_up(Hangup::Idle),
        // Left, failed, or told to go: nobody waits for an answer.
        _ => {}
    }
}

/// The future's output. A connection that is to finish before its first byte came still has a moment: its
/// request may be on the way, and whoever just connected expects an answer and no close. `None` after that,
/// and where it has rested for too long, or longest.
async fn first_words<F>(
    acceptor: &Acceptor,
    mut future: std::pin::Pin<&mut F>,
    drain_guard: &mut DrainGuard,
    rest: &Rest,
) -> Option<F::Output>
where
    F: Future,
{
    let mut moment = None;
    std::future::poll_fn(|cx| {
        if let Poll::Ready(output) = future.as_mut().poll(cx) {
            return Poll::Ready(Some(output));
        }
        if let Some(why) = rest.poll_told(cx) {
            acceptor.recorder().hung_up(why.into());
            return Poll::Ready(None);
        }
        if drain_guard.poll_told(cx) == Some(Stage::Drain) {
            moment = Some(Box::pin(tokio::time::sleep(FIRST_WORDS)));
        }
        match &mut moment {
            Some(moment) => moment.as_mut().poll(cx).map(|()| None),
            None => Poll::Pending,
        }
    })
    .await
}
