//! What every client connection of a worker shares.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::door::{Door, Doors};
use super::drain::{Drain, DrainGuard};
use super::idle::{Idle, Rest};
use crate::error::Kind;
use crate::proxy::Proxy;
use crate::record::Recorder;
use crate::transport::tls::handshake::Handshakes;

/// Between two looks for connections that rest for too long, a quarter of the time that they may.
const SHORTEST_LOOK: Duration = Duration::from_millis(10);
const LONGEST_LOOK: Duration = Duration::from_secs(1);

/// What every client connection of a worker needs.
pub struct Acceptor {
    proxy: RefCell<Rc<Proxy>>,
    doors: RefCell<Doors>,
    handshakes: Handshakes,
    recorder: Recorder,
    drain: Drain,
    idle: Idle,
}

impl Acceptor {
    /// In front of `proxy`; connections begin as `doors` says. `recorder` counts them, `drain` tells them to
    /// finish, `idle` knows those that have nothing to do.
    pub fn new(
        proxy: Rc<Proxy>,
        doors: Doors,
        recorder: Recorder,
        drain: Drain,
        idle: Idle,
    ) -> Self {
        let (proxy, doors) = (RefCell::new(proxy), RefCell::new(doors));
        Self { proxy, doors, handshakes: Handshakes::default(), recorder, drain, idle }
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
    ///
    /// # Errors
    /// [`Kind::TooManyConnections`] where none rests that may be sent away, and what else the admission says.
    pub(super) fn enter(&self, now: Instant) -> Result<Rest, Kind> {
        let entered = self.proxy.borrow().admission.connection();
        let limit_guard = match entered {
            Err(Kind::TooManyConnections) => {
                self.idle.make_room(now).ok_or(Kind::TooManyConnections)?
            }
            entered => entered?,
        };
        Ok(self.idle.enter(limit_guard, now))
    }

    /// A connection that a drain waits for.
    pub(super) fn join(&self) -> DrainGuard {
        self.drain.join()
    }

    /// How the next connection of a listener begins.
    pub(super) fn door(&self, listener: usize) -> Option<Door> {
        self.doors.borrow().get(listener).cloned()
    }

    /// The worker's TLS handshakes.
    pub(super) fn handshakes(&self) -> &Handshakes {
        &self.handshakes
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

    /// From now on requests go to another one, also those of connections that are open, and new connections
    /// begin as `doors` says.
    pub fn lead_to(&self, proxy: Rc<Proxy>, doors: Doors) {
        self.doors.replace(doors);
        // The old one is dropped after the borrow: its pools close with it.
        let _old = self.proxy.replace(proxy);
    }
}
