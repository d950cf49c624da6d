//! How long a connection lives. Is its peer alive, suspect or dead: a pure decision over bytes seen and
//! sent, PINGs asked and the time. When will its peer send it away: learnt from the GOAWAYs of those before it.

use std::cell::Cell;
use std::time::{Duration, Instant};

use crate::config::Pool;

/// What the connection's task should do now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PingAction {
    /// Look again then.
    Rest(Instant),
    /// Send a PING, and look again then.
    Ping(Instant),
    /// The peer did not answer: end the connection.
    Dead,
}

/// The times of the question.
#[derive(Debug, Clone, Copy)]
pub(super) struct Times {
    /// Silence of any kind until a PING.
    pub(super) interval: Duration,
    /// Silence after something was sent until a PING.
    pub(super) after: Duration,
    /// From the PING to suspicion, at most.
    pub(super) suspect: Duration,
    /// From the PING to the end.
    pub(super) timeout: Duration,
}

impl Times {
    pub(super) fn of(pool: &Pool) -> Self {
        Self {
            interval: pool.ping_interval,
            after: pool.ping_after,
            suspect: pool.suspect_after,
            timeout: pool.ping_timeout,
        }
    }
}

/// When the socket last gave a byte, and since when it owes one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Heard {
    pub(super) at: Instant,
    /// Since when something was sent and nothing came.
    pub(super) unanswered: Option<Instant>,
    /// When its full buffer last drained: an upload may stand before the PING, and its peer takes it.
    pub(super) drained: Instant,
}

/// Usual round trips that a PING may take before its peer is suspect.
const ROUND_TRIPS: u32 = 4;

/// The state of the question. Any byte from the peer is an answer.
#[derive(Debug)]
pub(super) struct Keepalive {
    times: Times,
    asked: Option<Instant>,
    /// No answer came for longer than is usual.
    suspect: bool,
    /// How long answers take, smoothed; zero before the first.
    usual: Duration,
}

impl Keepalive {
    pub(super) fn new(times: Times) -> Self {
        Self { times, asked: None, suspect: false, usual: Duration::ZERO }
    }

    /// A PING is on its way and nothing came since.
    pub(super) fn is_asking(&self) -> bool {
        self.asked.is_some()
    }

    /// New streams had better go elsewhere.
    pub(super) fn is_suspect(&self) -> bool {
        self.suspect
    }

    /// Asks out of turn; whether a PING is to be sent.
    pub(super) fn ask(&mut self, now: Instant) -> bool {
        self.asked.replace(self.asked.unwrap_or(now)).is_none()
    }

    /// The peer's last byte came `at`.
    pub(super) fn hear(&mut self, at: Instant) {
        let Some(asked) = self.asked.filter(|asked| at > *asked) else { return };
        let took = at - asked;
        self.usual = if self.usual.is_zero() { took } else { (self.usual * 7 + took) / 8 };
        (self.asked, self.suspect) = (None, false);
    }

    /// When to look next.
    pub(super) fn due(&self, heard: Heard) -> Instant {
        let Times { interval, after, timeout, .. } = self.times;
        match self.asked {
            Some(asked) if self.suspect => asked.max(heard.drained) + timeout,
            Some(asked) => asked + self.answer_timeout().min(timeout),
            None => {
                let quiet = heard.at + interval;
                heard.unanswered.map_or(quiet, |since| quiet.min(since + after))
            }
        }
    }

    /// The time is `now`: what is to be done.
    pub(super) fn tick(&mut self, now: Instant, heard: Heard) -> PingAction {
        self.hear(heard.at);
        if now < self.due(heard) {
            return PingAction::Rest(self.due(heard));
        }
        let Some(asked) = self.asked else {
            self.asked = Some(now);
            return PingAction::Ping(self.due(heard));
        };
        if now >= asked.max(heard.drained) + self.times.timeout {
            return PingAction::Dead;
        }
        self.suspect = true;
        PingAction::Rest(self.due(heard))
    }

    /// A lost segment takes a while to be sent again: never less than half of the most.
    fn answer_timeout(&self) -> Duration {
        let most = self.times.suspect;
        (self.usual * ROUND_TRIPS).clamp(most / 2, most)
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

    const S: Duration = Duration::from_secs(1);
    const MS: Duration = Duration::from_millis(1);

    const TIMES: Times = Times {
        interval: Duration::from_secs(15),
        after: S,
        suspect: S,
        timeout: Duration::from_secs(5),
    };

    fn quiet(at: Instant) -> Heard {
        Heard { at, unanswered: None, drained: at }
    }

    #[test]
    fn a_quiet_peer_is_asked_once_then_suspect_and_given_up_after_the_timeout() {
        let (mut keepalive, start) = (Keepalive::new(TIMES), Instant::now());
        assert_eq!(keepalive.tick(start, quiet(start)), PingAction::Rest(start + 15 * S));
        let asked = start + 15 * S;
        assert_eq!(keepalive.tick(asked, quiet(start)), PingAction::Ping(asked + 500 * MS));
        let early = asked + 499 * MS;
        assert_eq!(
            keepalive.tick(early, quiet(start)),
            PingAction::Rest(asked + 500 * MS),
            "asked only once"
        );
        assert!(!keepalive.is_suspect());
        assert_eq!(keepalive.tick(asked + 500 * MS, quiet(start)), PingAction::Rest(asked + 5 * S));
        assert!(keepalive.is_suspect());
        assert_eq!(keepalive.tick(asked + 5 * S, quiet(start)), PingAction::Dead);
    }

    #[test]
    fn what_was_sent_and_not_answered_is_asked_about_soon_and_suspect_within_two_seconds() {
        let (mut keepalive, start) = (Keepalive::new(TIMES), Instant::now());
        let sent = start + 3 * S;
        let heard = Heard { unanswered: Some(sent), ..quiet(start) };
        assert_eq!(keepalive.due(heard), sent + S);
        assert_eq!(keepalive.tick(sent + S, heard), PingAction::Ping(sent + 1500 * MS));
        keepalive.tick(sent + 2 * S, heard);
        assert!(keepalive.is_suspect());
    }

    #[test]
    fn while_the_peer_takes_a_long_upload_a_ping_behind_it_ends_nothing() {
        let (mut keepalive, start) = (Keepalive::new(TIMES), Instant::now());
        let sent = |drained| Heard { at: start, unanswered: Some(start), drained };
        assert_eq!(keepalive.tick(start + S, sent(start)), PingAction::Ping(start + 1500 * MS));
        for drained in 2..30 {
            let drained = start + drained * S;
            assert_eq!(
                keepalive.tick(drained + 4 * S, sent(drained)),
                PingAction::Rest(drained + 5 * S)
            );
            assert!(keepalive.is_suspect(), "new streams do not queue behind it");
        }
        assert_eq!(keepalive.tick(start + 35 * S, sent(start + 29 * S)), PingAction::Dead);
    }

    #[test]
    fn any_byte_answers_and_clears_the_suspicion() {
        let (mut keepalive, start) = (Keepalive::new(TIMES), Instant::now());
        let asked = start + 15 * S;
        keepalive.tick(asked, quiet(start));
        keepalive.tick(asked + S, quiet(start));
        assert!(keepalive.is_suspect());
        let heard = asked + 2 * S;
        assert_eq!(keepalive.tick(asked + 5 * S, quiet(heard)), PingAction::Rest(heard + 15 * S));
        assert!(!keepalive.is_asking() && !keepalive.is_suspect());
    }

    #[test]
    fn who_usually_takes_long_is_given_longer_but_never_more_than_the_most() {
        for (usual, patience) in [(1, 500), (150, 600), (900, 1_000)] {
            let (mut keepalive, start) = (Keepalive::new(TIMES), Instant::now());
            assert!(keepalive.ask(start) && !keepalive.ask(start), "asked once");
            keepalive.hear(start + usual * MS);
            let asked = start + 60 * S;
            assert_eq!(
                keepalive.tick(asked, quiet(start)),
                PingAction::Ping(asked + patience * MS)
            );
        }
    }

    #[test]
    fn a_timeout_shorter_than_the_suspicion_ends_it_all_the_same() {
        let times = Times { timeout: 100 * MS, ..TIMES };
        let (mut keepalive, start) = (Keepalive::new(times), Instant::now());
        let asked = start + 15 * S;
        assert_eq!(keepalive.tick(asked, quiet(start)), PingAction::Ping(asked + 100 * MS));
        assert_eq!(keepalive.tick(asked + 100 * MS, quiet(start)), PingAction::Dead);
    }

    #[test]
    fn a_busy_peer_is_never_asked() {
        let mut now = Instant::now();
        let mut keepalive = Keepalive::new(TIMES);
        for _ in 0..100 {
            now += 14 * S;
            assert_eq!(keepalive.tick(now, quiet(now)), PingAction::Rest(now + 15 * S));
        }
    }
}
