//! One client connection, from its first byte to its end.

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use tokio::net::TcpStream;

use super::drain::Drain;
use super::preface::{Protocol, sniff};
use super::{http1, http2};
use crate::admit::Bound;
use crate::config::Config;
use crate::proxy::Proxy;
use crate::record::Recorder;
use crate::wire::{self, Stamped, Wire};

/// What is known of a client by its connection.
pub struct Client {
    /// Where it connects from.
    pub address: SocketAddr,
    /// Its socket's stamps.
    pub wire: Rc<Wire>,
}

/// What every client connection of a worker needs. TLS will stand between socket and protocol
/// here: everything below takes any stream.
pub struct Door {
    /// Forwards requests.
    pub proxy: Rc<Proxy>,
    /// Deadlines and bounds.
    pub config: Arc<Config>,
    /// Counts connections.
    pub recorder: Recorder,
    /// Connections at once, over all workers.
    pub connections: Bound,
    /// Tells connections to finish.
    pub drain: Drain,
}

impl Door {
    /// Serves a connection to its end. Dropped, everything on it is cancelled at once.
    pub async fn serve(self: Rc<Self>, stream: TcpStream, address: SocketAddr) {
        // Over the bound the connection is closed without a word: to say more costs what is short.
        let Ok(_permit) = self.connections.enter() else { return };
        let _counted = self.recorder.client_connection();
        if wire::tune(&stream).is_err() {
            return; // the client left before we could look
        }
        let mut member = self.drain.join();
        let stall = self.config.client.write_stall;
        let socket = Stamped::new(stream, Instant::now(), Some(stall));
        let client = Rc::new(Client { address, wire: Rc::clone(socket.wire()) });
        let protocol = {
            let sniffed = tokio::time::timeout(self.config.client.head, sniff(&socket));
            told_or(std::pin::pin!(sniffed), &mut member).await
        };
        match protocol {
            Some(Ok(Ok(Some(Protocol::Http1)))) => {
                // Boxed, so that a task has room for the protocol that it speaks and no other.
                Box::pin(http1::serve(&self, socket, client, &mut member)).await;
            }
            Some(Ok(Ok(Some(Protocol::Http2)))) => {
                Box::pin(http2::serve(&self, socket, client, &mut member)).await;
            }
            // Left, failed, or silent for the whole deadline: nobody waits for an answer.
            _ => {}
        }
    }
}

/// The future's output, or `None` if the connection is to finish before it began.
async fn told_or<F>(
    mut future: std::pin::Pin<&mut F>,
    member: &mut super::drain::Member,
) -> Option<F::Output>
where
    F: Future,
{
    std::future::poll_fn(|cx| {
        if let std::task::Poll::Ready(output) = future.as_mut().poll(cx) {
            return std::task::Poll::Ready(Some(output));
        }
        if member.poll_told(cx) {
            return std::task::Poll::Ready(None);
        }
        std::task::Poll::Pending
    })
    .await
}
