//! How long a connection lives. Is its peer alive: a pure decision over bytes seen, PINGs asked and
//! the time. When will its peer send it away: learnt from the GOAWAYs of those before it.

use std::cell::Cell;
use std::time::{Duration, Instant};

/// What the connection's task should do now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pulse {
    /// Look again then.
    Rest(Instant),
    /// Send a PING, and look again then.
    Ping(Instant),
    /// The peer did not answer: end the connection.
    Dead,
}

/// The state of the question. Any byte from the peer is an answer.
#[derive(Debug)]
pub(super) struct Life {
    interval: Duration,
    timeout: Duration,
    asked: Option<Instant>,
}

impl Life {
    pub(super) fn new(interval: Duration, timeout: Duration) -> Self {
        Self { interval, timeout, asked: None }
    }

    /// A PING is on its way and nothing came since.
    pub(super) fn is_asking(&self) -> bool {
        self.asked.is_some()
    }

    /// `heard` is when the peer's last byte came.
    pub(super) fn beat(&mut self, now: Instant, heard: Instant) -> Pulse {
        match self.asked {
            Some(asked) if heard <= asked => {
                if now >= asked + self.timeout {
                    return Pulse::Dead;
                }
                return Pulse::Rest(asked + self.timeout);
            }
            _ => self.asked = None,
        }
        if now >= heard + self.interval {
            self.asked = Some(now);
            return Pulse::Ping(now + self.timeout);
        }
        Pulse::Rest(heard + self.interval)
    }
}

/// After how many requests the peer says GOAWAY, once two connections in a row were sent away after
/// the same number: one alone may have been a restart.
#[derive(Debug)]
pub(super) struct PeerLimit {
    last: Cell<u64>,
    leave_at: Cell<u64>,
}

impl Default for PeerLimit {
    fn default() -> Self {
        Self { last: Cell::new(0), leave_at: Cell::new(u64::MAX) }
    }
}

impl PeerLimit {
    pub(super) fn saw_goaway_after(&self, served: u64) {
        let last = self.last.replace(served);
        if served > 1 && served.abs_diff(last) <= served / 20 {
            let seen = served.min(last);
            self.leave_at.set((seen - seen.div_ceil(10)).max(1));
        }
    }

    /// Requests after which to leave first: a tenth before the peer would.
    pub(super) fn leave_at(&self) -> u64 {
        self.leave_at.get()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_goaway_teaches_nothing_two_alike_teach_when_to_leave() {
        let limit = PeerLimit::default();
        limit.saw_goaway_after(100);
        assert_eq!(limit.leave_at(), u64::MAX);
        limit.saw_goaway_after(37);
        assert_eq!(limit.leave_at(), u64::MAX, "a restart");
        limit.saw_goaway_after(100);
        limit.saw_goaway_after(101);
        assert_eq!(limit.leave_at(), 90);
    }

    const INTERVAL: Duration = Duration::from_secs(15);
    const TIMEOUT: Duration = Duration::from_secs(5);

    #[test]
    fn a_quiet_peer_is_asked_once_and_given_up_after_the_timeout() {
        let start = Instant::now();
        let mut life = Life::new(INTERVAL, TIMEOUT);
        assert_eq!(life.beat(start, start), Pulse::Rest(start + INTERVAL));
        let asked = start + INTERVAL;
        assert_eq!(life.beat(asked, start), Pulse::Ping(asked + TIMEOUT));
        let early = asked + Duration::from_secs(1);
        assert_eq!(life.beat(early, start), Pulse::Rest(asked + TIMEOUT), "asked only once");
        assert_eq!(life.beat(asked + TIMEOUT, start), Pulse::Dead);
    }

    #[test]
    fn any_byte_answers() {
        let start = Instant::now();
        let mut life = Life::new(INTERVAL, TIMEOUT);
        let asked = start + INTERVAL;
        life.beat(asked, start);
        let heard = asked + Duration::from_secs(2);
        assert_eq!(life.beat(asked + TIMEOUT, heard), Pulse::Rest(heard + INTERVAL));
        assert!(!life.is_asking());
    }

    #[test]
    fn a_busy_peer_is_never_asked() {
        let mut now = Instant::now();
        let mut life = Life::new(INTERVAL, TIMEOUT);
        for _ in 0..100 {
            now += Duration::from_secs(14);
            assert_eq!(life.beat(now, now), Pulse::Rest(now + INTERVAL));
        }
    }
}
