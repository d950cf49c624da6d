//! Connections that may not come in.
//!
//! A client that is closed on without a word sees a broken network, and tries again at once. So it is told:
//! its request gets a 503 that says when to come back, in the protocol that it speaks. Only so many are
//! told at once, and each for so long: beyond that a close costs least of what is short.

use std::rc::Rc;
use std::time::{Duration, Instant};

use super::acceptor::Acceptor;
use super::detect::Protocol;
use super::entry::{Arrival, Entered, enter};
use super::{http1, http2};
use crate::admit::KnownKey;
use crate::error::Kind;
use crate::proto::http1::Hints;
use crate::proxy::Client;
use crate::record::Shed;
use crate::transport::{AnySocket, ClientSocket, Stamped, WriteStall};

/// For the first bytes, and again for the answer. Who has something to ask has asked it by then; who holds
/// a connection silently must not keep others from being told.
const REFUSAL_TIMEOUT: Duration = Duration::from_secs(1);

/// Tells the client, and closes. Dropped, it closes at once: nothing that was promised is lost.
pub(super) async fn refuse(acceptor: &Rc<Acceptor>, arrival: Arrival<AnySocket>, kind: Kind) {
    let limit_guard = acceptor.proxy().admission.refusal();
    let Some(_limit_guard) = limit_guard else { return acceptor.recorder().shed(Shed::Unanswered) };
    let Arrival { stream, address, listener } = arrival;
    if stream.tune(None).is_err() {
        return; // the client left before we could look
    }
    let stream = WriteStall::new(Stamped::new(stream, Instant::now()), REFUSAL_TIMEOUT);
    let wire = Rc::clone(stream.wire());
    let entering = enter(acceptor, acceptor.door(listener), stream, address);
    match tokio::time::timeout(REFUSAL_TIMEOUT, entering).await {
        Ok(Ok(Some(Entered { socket, protocol, address, is_tls, certificates, refusal }))) => {
            let client = Rc::new(Client {
                address,
                on_loopback: false,
                is_tls,
                certificates,
                known: KnownKey::default(),
                wire,
                hints: Hints::default(),
            });
            tell(acceptor, socket, protocol, client, refusal.unwrap_or(kind)).await;
        }
        // Silent, gone or failed: nobody waits for an answer.
        _ => acceptor.recorder().shed(Shed::Unanswered),
    }
}

/// The same where the protocol is known.
pub(super) async fn tell(
    acceptor: &Rc<Acceptor>,
    socket: ClientSocket,
    protocol: Protocol,
    client: Rc<Client>,
    kind: Kind,
) {
    let told = async {
        match protocol {
            Protocol::Http1 => http1::refuse(acceptor, socket, client, kind).await,
            Protocol::Http2 => http2::refuse(acceptor, socket, client, kind).await,
        }
    };
    let _either = tokio::time::timeout(REFUSAL_TIMEOUT, told).await;
}
