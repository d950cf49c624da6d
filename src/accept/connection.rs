//! One client connection, from its first byte to its end.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::task::Poll;
use std::time::{Duration, Instant};

use tokio::net::TcpStream;

use super::detect::{Protocol, detect};
use super::drain::{Drain, DrainGuard};
use super::idle::{Idle, Rest};
use super::{http1, http2, refusal};
use crate::admit::{self, LimitGuard};
use crate::error::Kind;
use crate::proxy::{Client, Proxy};
use crate::record::{Hangup, Recorder};
use crate::transport::{self, Stamped};

/// How long a drain waits for the first byte of a connection that was accepted before: a round trip to any
/// client, and what a busy machine adds.
const FIRST_WORDS: Duration = Duration::from_secs(1);

/// Between two looks for connections that rest for too long, a quarter of the time that they may.
const SHORTEST_LOOK: Duration = Duration::from_millis(10);
const LONGEST_LOOK: Duration = Duration::from_secs(1);

/// What every client connection of a worker needs. TLS will stand between socket and protocol
/// here: everything below takes any stream.
pub struct Acceptor {
    proxy: RefCell<Rc<Proxy>>,
    recorder: Recorder,
    drain: Drain,
    idle: Idle,
}

impl Acceptor {
    /// In front of `proxy`; `recorder` counts connections, `drain` tells them to finish, `idle` knows those
    /// that have nothing to do.
    pub fn new(proxy: Rc<Proxy>, recorder: Recorder, drain: Drain, idle: Idle) -> Self {
        Self { proxy: RefCell::new(proxy), recorder, drain, idle }
    }

    /// Sends connections away that have had no request for too long. Returns never; dropped at any time, it
    /// leaves them to themselves.
    pub async fn tidy(self: Rc<Self>) {
        loop {
            let (head, idle) = {
                let client = &self.proxy.borrow().config.client;
                (client.head, client.idle)
            };
            tokio::time::sleep((head.min(idle) / 4).clamp(SHORTEST_LOOK, LONGEST_LOOK)).await;
            self.idle.tidy(Instant::now(), head, idle);
        }
    }

    /// No newcomer has a place, but for one that another connection leaves.
    pub(super) fn is_full(&self) -> bool {
        self.proxy.borrow().admission.is_full()
    }

    /// A newcomer's place: that of the connection that rests longest, where no other is left.
    fn enter(&self, now: Instant) -> Result<LimitGuard, Kind> {
        let entered = self.proxy.borrow().admission.connection();
        match entered {
            Err(Kind::TooManyConnections) => {
                self.idle.make_room(now).ok_or(Kind::TooManyConnections)
            }
            entered => entered,
        }
    }

    /// Forwards the next request. Not to be kept beyond it: what a reload replaced ends with its last
    /// owner.
    pub fn proxy(&self) -> Rc<Proxy> {
        Rc::clone(&self.proxy.borrow())
    }

    /// Counts connections.
    pub(super) fn recorder(&self) -> &Recorder {
        &self.recorder
    }

    /// From now on requests go to another one, also those of connections that are open.
    pub fn lead_to(&self, proxy: Rc<Proxy>) {
        // The old one is dropped after the borrow: its pools close with it.
        let _old = self.proxy.replace(proxy);
    }

    /// Serves a connection to its end. A drain waits for it from the call on, which comes before the first
    /// poll. Dropped, everything on it is cancelled at once.
    pub fn serve(
        self: Rc<Self>,
        stream: TcpStream,
        address: SocketAddr,
    ) -> impl Future<Output = ()> {
        let drain_guard = self.drain.join();
        self.run(stream, address, drain_guard)
    }

    async fn run(
        self: Rc<Self>,
        stream: TcpStream,
        address: SocketAddr,
        mut drain_guard: DrainGuard,
    ) {
        let began = Instant::now();
        let rest = match self.enter(began) {
            Ok(limit_guard) => self.idle.enter(limit_guard, began),
            // Boxed: a connection that may stay has no room for it.
            Err(kind) => {
                drop(drain_guard); // a drain waits for no refusal
                return Box::pin(refusal::refuse(&self, stream, address, kind)).await;
            }
        };
        let _counted = self.recorder.client_connection();
        let (stall, head) = {
            let client = &self.proxy.borrow().config.client;
            (client.write_stall, client.head)
        };
        if transport::tune(&stream).and_then(|()| transport::tune_client(&stream, stall)).is_err() {
            return; // the client left before we could look
        }
        let on_loopback = stream
            .local_addr()
            .is_ok_and(|local| admit::is_on_loopback(local, &self.proxy.borrow().config.listen));
        let socket = Stamped::new(stream, began, Some(stall));
        let client = Rc::new(Client { address, on_loopback, wire: Rc::clone(socket.wire()) });
        let protocol = {
            let detected = tokio::time::timeout(head, detect(&socket));
            self.first_words(std::pin::pin!(detected), &mut drain_guard, &rest).await
        };
        match protocol {
            Some(Ok(Ok(Some(Protocol::Http1)))) => {
                // Boxed, so that a task has room for the protocol that it speaks and no other.
                Box::pin(http1::serve(&self, socket, client, &mut drain_guard, rest, began)).await;
            }
            Some(Ok(Ok(Some(Protocol::Http2)))) => {
                Box::pin(http2::serve(&self, socket, client, &mut drain_guard, rest)).await;
            }
            Some(Err(_silent)) => self.recorder.hung_up(Hangup::Idle),
            // Left, failed, or told to go: nobody waits for an answer.
            _ => {}
        }
    }

    /// The future's output. A connection that is to finish before its first byte came still has a moment: its
    /// request may be on the way, and whoever just connected expects an answer and no close. `None` after that,
    /// and where it has rested for too long, or longest.
    async fn first_words<F>(
        &self,
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
                self.recorder.hung_up(why.into());
                return Poll::Ready(None);
            }
            if drain_guard.poll_told(cx) {
                moment = Some(Box::pin(tokio::time::sleep(FIRST_WORDS)));
            }
            match &mut moment {
                Some(moment) => moment.as_mut().poll(cx).map(|()| None),
                None => Poll::Pending,
            }
        })
        .await
    }
}
