//! Outlier ejection, or a circuit breaker for each upstream: whether one is to be asked. A pure state machine, one per
//! worker and upstream.
//!
//! **In** until it fails too often, in a row or as a share, or begins its answers much later than its
//! peers. Then **out**, for a time that doubles with each relapse. After that on **trial**: one request
//! decides whether it is in again: by its answer's head, or by its end where answers were cut before.

use std::time::{Duration, Instant};

use crate::algo::window::Window;
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

/// What is known of probes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Probes {
    /// None is sent. One that was under way when they were given up says nothing: no other would follow it.
    Never,
    /// None has come back yet: requests are tried until one has.
    Awaited,
    /// They decide whether it returns.
    Decide,
}

/// What became of the state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    /// It is out for so long.
    Ejected(Ejection, Duration),
    /// It is in again.
    Returned,
}

/// One worker's opinion of an upstream.
#[derive(Debug, Clone)]
pub(super) struct Health {
    policy: HealthPolicy,
    state: State,
    /// Failures since the last success.
    in_a_row: u32,
    /// Answers that began and were cut, since one came to its end.
    cuts_in_a_row: u32,
    /// The head of an answer does not end this trial: its end does.
    cut_out: bool,
    probes: Probes,
    /// Probes that failed since one succeeded.
    probes_failed: u32,
    /// When it was last ejected: what began before says nothing new.
    out_at: Option<Instant>,
    /// Times out since it was last well for as long as it may be out.
    relapses: u32,
    answers: u64,
    /// Since when it is in.
    well_since: Instant,
    window: Window,
}

impl Health {
    /// Well.
    pub(super) fn new(policy: HealthPolicy, now: Instant) -> Self {
        let window = Window::new(policy.window, now);
        Self {
            policy,
            state: State::In,
            in_a_row: 0,
            cuts_in_a_row: 0,
            cut_out: false,
            probes: Probes::Awaited,
            probes_failed: 0,
            out_at: None,
            relapses: 0,
            answers: 0,
            well_since: now,
            window,
        }
    }

    /// Goes on by another policy, and with or without probes. What it saw within the old window is
    /// forgotten where the new one is not as long.
    pub(super) fn adopt(&mut self, policy: HealthPolicy, probes: Probes, now: Instant) {
        if policy.window != self.policy.window {
            self.window = Window::new(policy.window, now);
        }
        self.policy = policy;
        (self.probes, self.probes_failed) = (probes, 0);
    }

    /// Whether a request may go there.
    pub(super) fn allows(&self, now: Instant) -> bool {
        match self.state {
            State::In => true,
            State::Out { until } | State::Trial { until } => {
                now >= until && self.probes != Probes::Decide
            }
        }
    }

    /// Answers so far.
    pub(super) fn answers(&self) -> u64 {
        self.answers
    }

    /// Out, or on trial.
    pub(super) fn is_ejected(&self) -> bool {
        self.state != State::In
    }

    /// A request goes there.
    pub(super) fn asked(&mut self, now: Instant) {
        if self.state != State::In && self.allows(now) {
            self.state = State::Trial { until: now + self.time_out() };
        }
    }

    /// A request failed there.
    pub(super) fn failed(&mut self, now: Instant) -> Option<Change> {
        self.window.failed(now);
        self.in_a_row = self.in_a_row.saturating_add(1);
        match self.state {
            State::Out { .. } => None,
            State::Trial { .. } => Some(self.eject(Ejection::Trial, now)),
            State::In => self.cause().map(|cause| self.eject(cause, now)),
        }
    }

    /// A request was answered there; `first_byte` is how long that took to begin.
    pub(super) fn answered(&mut self, now: Instant, first_byte: Duration) -> Option<Change> {
        self.window.answered(now, first_byte);
        self.in_a_row = 0;
        self.answers += 1;
        let decides = matches!(self.state, State::Trial { .. }) && !self.cut_out;
        decides.then(|| self.take_back(now))
    }

    /// An answer that it began at `began` came to its end.
    pub(super) fn ended(&mut self, now: Instant, began: Instant) -> Option<Change> {
        if self.is_old(began) {
            return None;
        }
        self.cuts_in_a_row = 0;
        matches!(self.state, State::Trial { .. }).then(|| self.take_back(now))
    }

    /// An answer that it began at `began` was cut, or fell silent. It was counted as answered before.
    pub(super) fn cut(&mut self, now: Instant, began: Instant) -> Option<Change> {
        if self.is_old(began) {
            return None;
        }
        self.window.cut(now);
        self.cuts_in_a_row = self.cuts_in_a_row.saturating_add(1);
        let cause = match self.state {
            State::Out { .. } => None,
            State::Trial { .. } => Some(Ejection::Trial),
            State::In => self.cause(),
        };
        cause.map(|cause| self.eject(cause, now))
    }

    /// A probe came back; as many failures in a row as `most` eject. Once the time out is over, a
    /// success takes it back.
    pub(super) fn probed(&mut self, now: Instant, well: bool, most: u32) -> Option<Change> {
        if self.probes == Probes::Never {
            return None;
        }
        self.probes = Probes::Decide;
        if !well {
            self.probes_failed = self.probes_failed.saturating_add(1);
            let ill = self.state == State::In && self.probes_failed >= most;
            return ill.then(|| self.eject(Ejection::Probe, now));
        }
        self.probes_failed = 0;
        match self.state {
            State::Out { until } | State::Trial { until } if now >= until => {
                Some(self.take_back(now))
            }
            _ => None,
        }
    }

    fn is_old(&self, began: Instant) -> bool {
        self.out_at.is_some_and(|out| began <= out)
    }

    fn take_back(&mut self, now: Instant) -> Change {
        (self.state, self.well_since, self.cut_out) = (State::In, now, false);
        // What it did before it was ejected must not eject it again.
        self.window.clear();
        (self.in_a_row, self.cuts_in_a_row) = (0, 0);
        Change::Returned
    }

    /// What [`Health::compare`] compares; `None` while too little is known.
    pub(super) fn first_byte(&self) -> Option<Duration> {
        self.window.first_byte(90, self.policy.requests)
    }

    /// Looks at its peers' [`Health::first_byte`]: it is slow beside their median, where they have one.
    pub(super) fn compare(&mut self, peers: &mut [Duration], now: Instant) -> Option<Change> {
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
        if consecutive_failures > 0 && self.cuts_in_a_row >= consecutive_failures {
            return Some(Ejection::Cut);
        }
        let enough = failure_percent > 0 && self.window.requests() >= requests;
        (enough && self.window.failure_percent() >= failure_percent).then_some(Ejection::Share)
    }

    fn eject(&mut self, cause: Ejection, now: Instant) -> Change {
        if self.state == State::In && now >= self.well_since + self.policy.longest_eject {
            self.relapses = 0;
        }
        let time = self.time_out();
        self.cut_out = match cause {
            Ejection::Trial => self.cut_out,
            Ejection::Cut | Ejection::Share => self.cuts_in_a_row > 0,
            Ejection::InARow | Ejection::Slow | Ejection::Probe => false,
        };
        self.out_at = Some(now);
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
mod tests;
pub(in crate::upstream) mod tracker;
