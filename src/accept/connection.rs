//! One client connection, from its first byte to its end.

use std::rc::Rc;
use std::task::Poll;
use std::time::{Duration, Instant};

use super::acceptor::Acceptor;
use super::detect::Protocol;
use super::drain::{DrainGuard, Stage};
use super::entry::{Arrival, Entered, enter};
use super::idle::Rest;
use super::{http1, http2, refusal};
use crate::admit::KnownKey;
use crate::proto::http1::Hints;
use crate::proxy::Client;
use crate::record::Hangup;
use crate::transport::{AnySocket, Stamped, WriteStall};

/// How long a drain waits for the first byte of a connection that was accepted before: a round trip to any
/// client, and what a busy machine adds.
const FIRST_WORDS: Duration = Duration::from_secs(1);

/// Serves a connection to its end. A drain waits for it from the call on, which comes before the first
/// poll. Dropped, everything on it is cancelled at once.
pub(super) fn serve(
    acceptor: Rc<Acceptor>,
    arrival: Arrival<AnySocket>,
) -> impl Future<Output = ()> {
    let drain_guard = acceptor.join();
    run(acceptor, arrival, drain_guard)
}

async fn run(acceptor: Rc<Acceptor>, arrival: Arrival<AnySocket>, mut drain_guard: DrainGuard) {
    let began = Instant::now();
    let rest = match acceptor.enter(began) {
        Ok(rest) => rest,
        // Boxed: a connection that may stay has no room for it.
        Err(kind) => {
            drop(drain_guard); // a drain waits for no refusal
            return Box::pin(refusal::refuse(&acceptor, arrival, kind)).await;
        }
    };
    let _counted = acceptor.recorder().client_connection();
    let (stall, head) = {
        let client = &acceptor.proxy().config.client;
        (client.write_stall, client.head)
    };
    let Arrival { stream, address, listener } = arrival;
    if stream.tune(Some(stall)).is_err() {
        return; // the client left before we could look
    }
    let door = acceptor.door(listener);
    let on_loopback = door.as_ref().is_some_and(|door| door.on_loopback);
    let stream = WriteStall::new(Stamped::new(stream, began), stall);
    let wire = Rc::clone(stream.wire());
    let entered = {
        // A balancer's header and TLS have their time of the first request's.
        let entering = tokio::time::timeout(head, enter(&acceptor, door, stream, address));
        first_words(&acceptor, std::pin::pin!(entering), &mut drain_guard, &rest).await
    };
    let Entered { socket, protocol, address, is_tls, certificates, refusal } = match entered {
        Some(Ok(Ok(Some(entered)))) => entered,
        Some(Err(_silent)) => return acceptor.recorder().hung_up(Hangup::Idle),
        // Left, failed, or told to go: nobody waits for an answer.
        _ => return,
    };
    let client = Rc::new(Client {
        address,
        on_loopback,
        is_tls,
        certificates,
        known: KnownKey::default(),
        wire,
        hints: Hints::default(),
    });
    // Boxed, so that a task has room for what it comes to and no other.
    match (protocol, refusal) {
        (Protocol::Http1, None) => {
            Box::pin(http1::serve(&acceptor, socket, client, &mut drain_guard, rest, began)).await;
        }
        (Protocol::Http2, None) => {
            Box::pin(http2::serve(&acceptor, socket, client, &mut drain_guard, rest)).await;
        }
        (_, Some(kind)) => {
            Box::pin(refusal::tell(&acceptor, socket, protocol, client, kind)).await;
        }
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
