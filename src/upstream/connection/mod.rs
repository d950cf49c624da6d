//! One connection to an upstream: what is known of it, and HTTP/2's own task.

pub(in crate::upstream) mod events;
pub(in crate::upstream) mod http2;
pub(in crate::upstream) mod pinger;

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use crate::error::Cause;
use crate::record::GaugeGuard;
use crate::transport::Wire;
use crate::upstream::stream::http1::Link;
use crate::upstream::stream::parcel::Parcel;
use pinger::Pinger;

/// What a connection is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::upstream) enum State {
    /// Takes new streams.
    Ready,
    /// Takes new streams until its replacement is there.
    Retiring,
    /// Takes no new stream; those on it finish.
    Draining,
}

/// The protocol's own handle for new streams.
pub(in crate::upstream) enum Sender {
    Http2(RefCell<h2::client::SendRequest<Parcel>>, RefCell<Pinger>),
    Http1(Rc<Link>),
}

/// Since when a connection has carried nothing.
#[derive(Debug, Clone, Copy)]
struct Idle {
    since: Instant,
    /// Streams that it had carried until then.
    served: u64,
}

/// One connection; the pool and every lease hold this. Over HTTP/2 its task owns the socket.
pub(in crate::upstream) struct Conn {
    pub(in crate::upstream) sender: Sender,
    pub(in crate::upstream) wire: Rc<Wire>,
    /// None of a Unix socket.
    pub(in crate::upstream) peer: Option<SocketAddr>,
    pub(in crate::upstream) state: Cell<State>,
    /// A PING is unanswered for longer than is usual.
    pub(in crate::upstream) suspect: Cell<bool>,
    /// Streams leased and not given back.
    pub(in crate::upstream) in_flight: Cell<usize>,
    /// Streams leased in its life.
    pub(in crate::upstream) served: Cell<u64>,
    /// Streams that may be in flight at once.
    pub(in crate::upstream) cap: Cell<usize>,
    /// The largest head that the peer says it takes, in bytes as [`crate::upstream::HeadSize`] counts them.
    pub(in crate::upstream) takes: usize,
    /// What [`Conn::served`] was when the connection was last looked at.
    pub(in crate::upstream) seen: Cell<u64>,
    /// It carried nothing at the pool's last look.
    idle: Cell<Option<Idle>>,
    /// That it ended was told by one of its streams.
    pub(in crate::upstream) failure_reported: Cell<bool>,
    /// The latest of its streams, as [`Conn::served`] counts them, that was answered: heads are read in
    /// their order (RFC 9113, section 4.3), so that none up to it can be why the connection ends.
    pub(in crate::upstream) answered: Cell<u64>,
    /// With which error the peer said GOAWAY, where it did: one of its streams may be why.
    pub(in crate::upstream) accused: Cell<Option<Cause>>,
    /// Why we end it ourselves: what its streams are told by the socket says nothing of that.
    pub(in crate::upstream) ended_for: Cell<Option<Cause>>,
    pub(in crate::upstream) retire_at: Instant,
    /// Counts the connection among the draining from then until its last lease ends.
    pub(in crate::upstream) draining: RefCell<Option<GaugeGuard>>,
}

impl Conn {
    pub(in crate::upstream) fn new(
        sender: Sender,
        wire: Rc<Wire>,
        peer: Option<SocketAddr>,
        (cap, takes): (usize, Option<u32>),
        retire_at: Instant,
    ) -> Self {
        Self {
            sender,
            wire,
            peer,
            state: Cell::new(State::Ready),
            suspect: Cell::new(false),
            in_flight: Cell::new(0),
            served: Cell::new(0),
            cap: Cell::new(cap),
            takes: takes.map_or(usize::MAX, |takes| takes as usize),
            seen: Cell::new(0),
            idle: Cell::new(None),
            failure_reported: Cell::new(false),
            answered: Cell::new(0),
            accused: Cell::new(None),
            ended_for: Cell::new(None),
            retire_at,
            draining: RefCell::default(),
        }
    }

    /// Streams that could be leased now.
    pub(in crate::upstream) fn free(&self) -> usize {
        let usable = self.state.get() != State::Draining && self.wire.can_write();
        if !usable {
            return 0;
        }
        self.cap.get().saturating_sub(self.in_flight.get())
    }

    /// The socket and what is on it, where it carries one stream at a time.
    pub(in crate::upstream) fn http1(&self) -> Option<&Rc<Link>> {
        match &self.sender {
            Sender::Http1(link) => Some(link),
            Sender::Http2(..) => None,
        }
    }

    /// Nothing was asked since this was last called, and nothing is under way.
    pub(in crate::upstream) fn rests(&self) -> bool {
        self.in_flight.get() == 0 && self.seen.replace(self.served.get()) == self.served.get()
    }

    /// Since when it was seen to carry nothing, by those who ask this at each look.
    pub(in crate::upstream) fn idle_since(&self, now: Instant) -> Option<Instant> {
        let served = self.served.get();
        let idle = (self.in_flight.get() == 0).then(|| match self.idle.get() {
            Some(idle) if idle.served == served => idle,
            _ => Idle { since: now, served },
        });
        self.idle.set(idle);
        idle.map(|idle| idle.since)
    }

    pub(in crate::upstream) fn version(&self) -> http::Version {
        match self.sender {
            Sender::Http2(..) => http::Version::HTTP_2,
            Sender::Http1(..) => http::Version::HTTP_11,
        }
    }
}

/// Streams that we put on a connection whose peer allows `peer`: at most `ours`, and no more than
/// three quarters of the peer's, so that a stream counted differently by the two sides (a reset on
/// its way) never meets the peer's limit. At least one, unless the peer allows none.
pub(in crate::upstream) fn stream_cap(ours: usize, peer: usize) -> usize {
    ours.min((peer - peer / 4).max(1)).min(peer)
}

/// When a connection that is `now` new is to be replaced: `max_age` less up to a tenth, spread by
/// `seed`, so that connections opened together do not end together.
pub(in crate::upstream) fn retire_at(now: Instant, max_age: Duration, seed: u64) -> Instant {
    // A multiplicative hash (Knuth, TAOCP 6.4) spreads consecutive seeds over the interval.
    let spread = (seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 48) as u32;
    now + max_age.saturating_sub(max_age / 10 * spread / 65_536)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn we_stay_under_the_peers_limit_and_under_our_own() {
        assert_eq!(stream_cap(64, 100), 64);
        assert_eq!(stream_cap(64, 8), 6);
        assert_eq!(stream_cap(64, 1), 1);
        assert_eq!(stream_cap(64, 0), 0, "a peer that allows none gets none");
        assert_eq!(stream_cap(64, usize::MAX), 64);
    }

    #[test]
    fn connections_opened_together_retire_apart_and_never_late() {
        let now = Instant::now();
        let age = Duration::from_secs(1000);
        let at: Vec<_> = (0..100).map(|seed| retire_at(now, age, seed) - now).collect();
        assert!(at.iter().all(|at| *at <= age && *at >= age * 9 / 10));
        let distinct: std::collections::HashSet<_> = at.iter().collect();
        assert!(distinct.len() > 90);
    }
}
