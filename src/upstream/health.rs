//! Whether an upstream is to be asked: a pure state machine, one per worker and upstream.
//!
//! **In** until it fails too often, in a row or as a share, or begins its answers much later than its
//! peers. Then **out**, for a time that doubles with each relapse. After that on **trial**: one request
//! decides whether it is in again.

use std::time::{Duration, Instant};

use super::window::Window;
use crate::config::HealthPolicy;
use crate::record::Ejection;

/// An upstream is slow only if that can be felt: below this, multiples are noise.
const FELT: Duration = Duration::from_millis(50);

/// How many relapses lengthen the time out.
const MOST_DOUBLINGS: u32 = 10;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    In,
    Out {
        until: Instant,
    },
    /// One request is under way. If it never comes back (its client left), another may go then.
    Trial {
        until: Instant,
    },
}

/// What became of the state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It is out for so long.
    Ejected(Ejection, Duration),
    /// It is in again.
    Returned,
}

/// One worker's opinion of an upstream.
#[derive(Debug, Clone)]
pub struct Health {
    policy: HealthPolicy,
    state: State,
    /// Failures since the last success.
    in_a_row: u32,
    /// Times out since it was last well for as long as it may be out.
    relapses: u32,
    answers: u64,
    /// Since when it is in.
    well_since: Instant,
    window: Window,
}

impl Health {
    /// Well.
    pub fn new(policy: HealthPolicy, now: Instant) -> Self {
        let window = Window::new(policy.window, now);
        Self {
            policy,
            state: State::In,
            in_a_row: 0,
            relapses: 0,
            answers: 0,
            well_since: now,
            window,
        }
    }

    /// Goes on by another policy. What it saw within the old window is forgotten where the new one is
    /// not as long.
    pub fn adopt(&mut self, policy: HealthPolicy, now: Instant) {
        if policy.window != self.policy.window {
            self.window = Window::new(policy.window, now);
        }
        self.policy = policy;
    }

    /// Whether a request may go there.
    pub fn allows(&self, now: Instant) -> bool {
        match self.state {
            State::In => true,
            State::Out { until } | State::Trial { until } => now >= until,
        }
    }

    /// Answers so far.
    pub fn answers(&self) -> u64 {
        self.answers
    }

    /// Out, or on trial.
    pub fn is_ejected(&self) -> bool {
        self.state != State::In
    }

    /// A request goes there.
    pub fn asked(&mut self, now: Instant) {
        if self.state != State::In && self.allows(now) {
            self.state = State::Trial { until: now + self.time_out() };
        }
    }

    /// A request failed there.
    pub fn failed(&mut self, now: Instant) -> Option<Change> {
        self.window.failed(now);
        self.in_a_row = self.in_a_row.saturating_add(1);
        match self.state {
            State::Out { .. } => None,
            State::Trial { .. } => Some(self.eject(Ejection::Trial, now)),
            State::In => self.cause().map(|cause| self.eject(cause, now)),
        }
    }

    /// A request was answered there; `first_byte` is how long that took to begin.
    pub fn answered(&mut self, now: Instant, first_byte: Duration) -> Option<Change> {
        self.window.answered(now, first_byte);
        self.in_a_row = 0;
        self.answers += 1;
        if !matches!(self.state, State::Trial { .. }) {
            return None;
        }
        (self.state, self.well_since) = (State::In, now);
        // What it did before it was ejected must not eject it again.
        self.window.clear();
        Some(Change::Returned)
    }

    /// What [`Health::compare`] compares; `None` while too little is known.
    pub fn first_byte(&self) -> Option<Duration> {
        self.window.first_byte(90, self.policy.requests)
    }

    /// Looks at its peers' [`Health::first_byte`]: it is slow beside their median, where they have one.
    pub fn compare(&mut self, peers: &mut [Duration], now: Instant) -> Option<Change> {
        if self.policy.slow_percent == 0 || self.state != State::In || peers.is_empty() {
            return None;
        }
        let own = self.first_byte()?;
        peers.sort_unstable();
        let usual = peers[(peers.len() - 1) / 2];
        let bound = usual * self.policy.slow_percent / 100;
        (own > bound && own > usual + FELT).then(|| self.eject(Ejection::Slow, now))
    }

    fn cause(&self) -> Option<Ejection> {
        let HealthPolicy { consecutive_failures, failure_percent, requests, .. } = self.policy;
        if consecutive_failures > 0 && self.in_a_row >= consecutive_failures {
            return Some(Ejection::InARow);
        }
        let enough = failure_percent > 0 && self.window.requests() >= requests;
        (enough && self.window.failure_percent() >= failure_percent).then_some(Ejection::Share)
    }

    fn eject(&mut self, cause: Ejection, now: Instant) -> Change {
        if self.state == State::In && now >= self.well_since + self.policy.longest_eject {
            self.relapses = 0;
        }
        let time = self.time_out();
        self.state = State::Out { until: now + time };
        self.relapses = (self.relapses + 1).min(MOST_DOUBLINGS);
        Change::Ejected(cause, time)
    }

    fn time_out(&self) -> Duration {
        let HealthPolicy { eject, longest_eject, .. } = self.policy;
        eject.saturating_mul(1 << self.relapses).min(longest_eject)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: Duration = Duration::from_secs(1);
    const MS: Duration = Duration::from_millis(1);

    const POLICY: HealthPolicy = HealthPolicy {
        consecutive_failures: 3,
        failure_percent: 50,
        slow_percent: 300,
        requests: 10,
        window: Duration::from_secs(10),
        eject: Duration::from_secs(5),
        longest_eject: Duration::from_secs(60),
    };

    fn well() -> (Health, Instant) {
        let now = Instant::now();
        (Health::new(POLICY, now), now)
    }

    /// Fails in a row until it is out; how long it is.
    fn eject(health: &mut Health, now: Instant) -> Duration {
        for _ in 0..POLICY.consecutive_failures {
            if let Some(Change::Ejected(_, time)) = health.failed(now) {
                return time;
            }
        }
        panic!("it is not ejected");
    }

    #[test]
    fn failures_in_a_row_eject_and_a_success_between_them_does_not() {
        let now = Instant::now();
        let mut health = Health::new(HealthPolicy { failure_percent: 0, ..POLICY }, now);
        for _ in 0..5 {
            assert_eq!((health.failed(now), health.failed(now)), (None, None));
            assert_eq!(health.answered(now, MS), None);
        }
        let (mut health, now) = well();
        assert_eq!((health.failed(now), health.failed(now)), (None, None));
        assert_eq!(health.failed(now), Some(Change::Ejected(Ejection::InARow, 5 * S)));
        assert!(health.is_ejected() && !health.allows(now + 4 * S) && health.allows(now + 5 * S));
    }

    #[test]
    fn a_share_of_failures_ejects_once_there_were_enough_requests() {
        let (mut health, now) = well();
        for nth in 0..4 {
            assert_eq!((health.failed(now), health.answered(now, MS)), (None, None), "{nth}");
        }
        assert_eq!(health.failed(now), None, "nine requests");
        assert_eq!(health.failed(now), Some(Change::Ejected(Ejection::Share, 5 * S)));
        let (mut health, now) = well();
        for nth in 0..100 {
            let at = now + nth * S * 6;
            assert_eq!(
                (health.failed(at), health.failed(at)),
                (None, None),
                "none of it is recent"
            );
            health.in_a_row = 0;
        }
    }

    #[test]
    fn one_request_decides_whether_it_returns() {
        let (mut health, now) = well();
        let back = now + eject(&mut health, now);
        assert!(health.allows(back));
        health.asked(back);
        assert!(!health.allows(back), "one at a time");
        assert_eq!(health.answered(back + MS, MS), Some(Change::Returned));
        assert!(health.allows(back + MS) && !health.is_ejected());
        assert_eq!(health.failed(back + MS), None, "it begins anew");
    }

    #[test]
    fn a_relapse_is_longer_up_to_the_longest_and_being_well_for_long_forgives_it() {
        let (mut health, mut now) = well();
        let mut time = eject(&mut health, now);
        for expected in [10, 20, 40, 60, 60] {
            now += time;
            health.asked(now);
            let change = health.failed(now);
            assert_eq!(change, Some(Change::Ejected(Ejection::Trial, expected * S)));
            time = expected * S;
        }
        now += time;
        health.asked(now);
        health.answered(now, MS);
        assert_eq!(eject(&mut health.clone(), now + 59 * S), 60 * S);
        assert_eq!(eject(&mut health, now + 60 * S), 5 * S);
    }

    #[test]
    fn a_trial_that_never_ends_does_not_keep_it_out() {
        let (mut health, now) = well();
        let back = now + eject(&mut health, now);
        health.asked(back);
        assert!(!health.allows(back + 9 * S) && health.allows(back + 10 * S));
    }

    #[test]
    fn what_was_sent_before_it_was_ejected_changes_nothing() {
        let (mut health, now) = well();
        eject(&mut health, now);
        assert_eq!((health.failed(now), health.answered(now, MS)), (None, None));
        assert!(!health.allows(now + S));
    }

    #[test]
    fn one_much_slower_than_its_peers_is_ejected() {
        let slow_beside = |own: u32, peers: &mut [Duration]| {
            let (mut health, now) = well();
            (0..POLICY.requests).for_each(|_| assert_eq!(health.answered(now, own * MS), None));
            health.compare(peers, now).is_some()
        };
        assert!(slow_beside(2_000, &mut [200 * MS, 300 * MS, 100 * MS]));
        assert!(!slow_beside(500, &mut [200 * MS, 300 * MS, 100 * MS]), "less than three times");
        assert!(!slow_beside(30, &mut [MS]), "nobody can feel it");
        assert!(!slow_beside(9_000, &mut []), "it has no peers");
        assert!(!slow_beside(9_000, &mut [100 * MS, 9_000 * MS, 9_000 * MS]), "most are as slow");
    }

    #[test]
    fn what_is_turned_off_ejects_nobody() {
        let off =
            HealthPolicy { consecutive_failures: 0, failure_percent: 0, slow_percent: 0, ..POLICY };
        let now = Instant::now();
        let mut health = Health::new(off, now);
        assert!((0..1_000).all(|_| health.failed(now).is_none()));
        (0..1_000).for_each(|_| assert_eq!(health.answered(now, 9 * S), None));
        assert_eq!(health.compare(&mut [MS], now), None);
    }
}
