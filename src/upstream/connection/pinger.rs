//! Whether an HTTP/2 connection's peer lives, asked by PINGs.

use std::task::{Context, Waker};
use std::time::Instant;

use h2::{Ping, PingPong};

use crate::config;
use crate::upstream::keepalive::{Keepalive, Times};

/// How a connection's peer is asked whether it lives, and what is known of that.
pub(in crate::upstream) struct Pinger {
    pings: PingPong,
    pub(super) keepalive: Keepalive,
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

    pub(super) fn ping(&mut self) {
        // An answer that was overtaken by other bytes still stands in h2's way. Nobody need be woken for
        // one: it is read by the connection's own task.
        let _overtaken = self.pings.poll_pong(&mut Context::from_waker(Waker::noop()));
        // Refused only while an earlier PING is unanswered: the question is asked already.
        let _asked = self.pings.send_ping(Ping::opaque());
    }
}
