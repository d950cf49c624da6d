//! All that is counted: the set that a worker fills, the hub empties, and the totals are kept in.

use std::collections::HashMap;
use std::hash::{Hash, Hasher};

use http::StatusCode;

use super::durations::Durations;
use super::labels::LabelId;
use crate::error::Cause;
use crate::record::outcome::{
    Clock, Cold, Ejection, FailoverReason, Handshake, Hangup, HedgeEnd, NoUsage, Outcome, Oversize,
    Phase, Prevented, ReplayReason, Shed, Silence,
};

/// The labels of `requests_total` and `stream_end_total`, as numbers; names are put in when someone asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::record) struct RequestKey {
    pub(in crate::record) route: Option<LabelId>,
    pub(in crate::record) upstream: Option<LabelId>,
    /// What the client was answered; `None` if it left before it was.
    pub(in crate::record) code: Option<StatusCode>,
    pub(in crate::record) outcome: Outcome,
    pub(in crate::record) phase: Phase,
}

/// In two words, since it is hashed for each request. Labels are far fewer than 65,536; if they were not, more
/// keys would share a place.
impl Hash for RequestKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let place =
            |label: Option<LabelId>| label.map_or(0, |label| label.index() as u64 + 1) & 0xffff;
        let code = self.code.map_or(0, |code| u64::from(code.as_u16()));
        let how = self.outcome as u64 * 2 + self.phase as u64;
        state.write_u64(place(self.route) | place(self.upstream) << 16 | code << 32 | how << 48);
    }
}

/// The labels of `model_requests_total`, as numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::record) struct ModelKey {
    pub(in crate::record) route: Option<LabelId>,
    pub(in crate::record) model: LabelId,
    pub(in crate::record) code: Option<StatusCode>,
}

/// The labels of `failovers_total`, as numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(in crate::record) struct FailoverKey {
    pub(in crate::record) from: LabelId,
    pub(in crate::record) to: LabelId,
    pub(in crate::record) reason: FailoverReason,
}

/// The words for what came of a probe.
pub(in crate::record) const PROBES: [&str; 2] = ["failed", "well"];

/// What belongs to one upstream.
#[derive(Default)]
pub(in crate::record) struct UpstreamRecordings {
    /// Head sent to head received.
    pub(in crate::record) ttfb: Durations,
    /// Head sent to the first byte of the body.
    pub(in crate::record) first_body: Durations,
    /// Request's head received to our first write, where the upstream answered.
    pub(in crate::record) client_ttfb: Durations,
    pub(in crate::record) pool_wait: Durations,
    pub(in crate::record) connect: Durations,
    pub(in crate::record) cold: [u64; Cold::ALL.len()],
    pub(in crate::record) connect_failures: u64,
    pub(in crate::record) retries: u64,
    /// Hedges sent there, by what became of them.
    pub(in crate::record) hedges: [u64; HedgeEnd::ALL.len()],
    /// Requests that were cancelled there since another upstream answered sooner.
    pub(in crate::record) overtaken: u64,
    pub(in crate::record) ejections: [u64; Ejection::ALL.len()],
    pub(in crate::record) timeouts: [u64; Clock::ALL.len()],
    pub(in crate::record) silences: [u64; Silence::ALL.len()],
    /// Connections given up for frames without a purpose.
    pub(in crate::record) floods: u64,
    pub(in crate::record) oversizes: [u64; Oversize::ALL.len()],
    /// Probes that failed, and that did not.
    pub(in crate::record) probes: [u64; PROBES.len()],
}

/// Counters and distributions since the set was last empty.
#[derive(Default)]
pub(in crate::record) struct Recordings {
    pub(in crate::record) requests: HashMap<RequestKey, u64>,
    /// Those of them whose model a rule needed.
    pub(in crate::record) models: HashMap<ModelKey, u64>,
    /// Requests that a drain's end cut.
    pub(in crate::record) cut: u64,
    pub(in crate::record) replays: [u64; ReplayReason::ALL.len()],
    pub(in crate::record) failovers: HashMap<FailoverKey, u64>,
    /// Attempts that an upstream failed, before or after its head.
    pub(in crate::record) failures: HashMap<(LabelId, Cause), u64>,
    pub(in crate::record) prevented: [u64; Prevented::ALL.len()],
    pub(in crate::record) sheds: [u64; Shed::ALL.len()],
    pub(in crate::record) usage_unknown: [u64; NoUsage::ALL.len()],
    pub(in crate::record) hangups: [u64; Hangup::ALL.len()],
    pub(in crate::record) handshakes: [u64; Handshake::ALL.len()],
    pub(in crate::record) accept_pauses: u64,
    pub(in crate::record) panics: u64,
    /// Header lines that were not forwarded for their names' underscores.
    pub(in crate::record) withheld: u64,
    /// Comments that clients of silent streams got.
    pub(in crate::record) heartbeats: u64,
    /// By [`LabelId`].
    pub(in crate::record) upstreams: Vec<UpstreamRecordings>,
    pub(in crate::record) gap_upstream: Durations,
    pub(in crate::record) gap_client: Durations,
    pub(in crate::record) overhead_request: Durations,
    pub(in crate::record) overhead_head: Durations,
    pub(in crate::record) overhead_chunk: Durations,
    pub(in crate::record) cancel: Durations,
    pub(in crate::record) duration: Durations,
}

impl Recordings {
    pub(in crate::record) fn new(upstreams: usize) -> Recordings {
        let upstreams = (0..upstreams).map(|_| UpstreamRecordings::default()).collect();
        Recordings { upstreams, ..Recordings::default() }
    }

    /// Makes room for this many upstreams at least.
    pub(in crate::record) fn grow(&mut self, upstreams: usize) {
        if self.upstreams.len() < upstreams {
            self.upstreams.resize_with(upstreams, UpstreamRecordings::default);
        }
    }

    /// Requests that ended, by outcome.
    pub(in crate::record) fn ends(&self) -> [u64; Outcome::ALL.len()] {
        let mut ends = [0; Outcome::ALL.len()];
        for (key, count) in &self.requests {
            ends[key.outcome as usize] += count;
        }
        ends
    }

    /// Touches one upstream's part; what the configuration lacks is let fall.
    pub(in crate::record) fn upstream(
        &mut self,
        label: LabelId,
        touch: impl FnOnce(&mut UpstreamRecordings),
    ) {
        if let Some(upstream) = self.upstreams.get_mut(label.index()) {
            touch(upstream);
        }
    }

    /// Adds all that `other` holds.
    pub(super) fn absorb(&mut self, other: &Recordings) {
        for (key, count) in &other.requests {
            *self.requests.entry(*key).or_default() += count;
        }
        for (key, count) in &other.models {
            *self.models.entry(*key).or_default() += count;
        }
        for (key, count) in &other.failovers {
            *self.failovers.entry(*key).or_default() += count;
        }
        for (key, count) in &other.failures {
            *self.failures.entry(*key).or_default() += count;
        }
        self.cut += other.cut;
        add_each(&mut self.replays, &other.replays);
        add_each(&mut self.prevented, &other.prevented);
        add_each(&mut self.sheds, &other.sheds);
        add_each(&mut self.usage_unknown, &other.usage_unknown);
        add_each(&mut self.hangups, &other.hangups);
        add_each(&mut self.handshakes, &other.handshakes);
        self.accept_pauses += other.accept_pauses;
        self.panics += other.panics;
        self.withheld += other.withheld;
        self.heartbeats += other.heartbeats;
        self.grow(other.upstreams.len());
        for (sum, more) in self.upstreams.iter_mut().zip(&other.upstreams) {
            add_each(&mut sum.cold, &more.cold);
            sum.connect_failures += more.connect_failures;
            sum.retries += more.retries;
            sum.overtaken += more.overtaken;
            sum.floods += more.floods;
            add_each(&mut sum.hedges, &more.hedges);
            add_each(&mut sum.ejections, &more.ejections);
            add_each(&mut sum.timeouts, &more.timeouts);
            add_each(&mut sum.silences, &more.silences);
            add_each(&mut sum.oversizes, &more.oversizes);
            add_each(&mut sum.probes, &more.probes);
            for (sum, more) in sum.distributions_mut().into_iter().zip(more.distributions()) {
                sum.absorb(more);
            }
        }
        for (sum, more) in self.distributions_mut().into_iter().zip(other.distributions()) {
            sum.absorb(more);
        }
    }

    /// Empties the set and keeps its memory.
    pub(in crate::record) fn clear(&mut self) {
        self.requests.clear();
        self.models.clear();
        self.cut = 0;
        self.replays = Default::default();
        self.failovers.clear();
        self.failures.clear();
        self.prevented = Default::default();
        self.sheds = Default::default();
        self.usage_unknown = Default::default();
        self.hangups = Default::default();
        self.handshakes = Default::default();
        (self.accept_pauses, self.panics) = (0, 0);
        (self.withheld, self.heartbeats) = (0, 0);
        for upstream in &mut self.upstreams {
            upstream.cold = Default::default();
            upstream.connect_failures = 0;
            upstream.retries = 0;
            upstream.overtaken = 0;
            upstream.floods = 0;
            upstream.hedges = Default::default();
            upstream.ejections = Default::default();
            upstream.timeouts = Default::default();
            upstream.silences = Default::default();
            upstream.oversizes = Default::default();
            upstream.probes = Default::default();
            upstream.distributions_mut().into_iter().for_each(Durations::clear);
        }
        self.distributions_mut().into_iter().for_each(Durations::clear);
    }

    fn distributions(&self) -> [&Durations; 7] {
        [
            &self.gap_upstream,
            &self.gap_client,
            &self.overhead_request,
            &self.overhead_head,
            &self.overhead_chunk,
            &self.cancel,
            &self.duration,
        ]
    }

    fn distributions_mut(&mut self) -> [&mut Durations; 7] {
        [
            &mut self.gap_upstream,
            &mut self.gap_client,
            &mut self.overhead_request,
            &mut self.overhead_head,
            &mut self.overhead_chunk,
            &mut self.cancel,
            &mut self.duration,
        ]
    }
}

impl UpstreamRecordings {
    fn distributions(&self) -> [&Durations; 5] {
        [&self.ttfb, &self.first_body, &self.client_ttfb, &self.pool_wait, &self.connect]
    }

    fn distributions_mut(&mut self) -> [&mut Durations; 5] {
        [
            &mut self.ttfb,
            &mut self.first_body,
            &mut self.client_ttfb,
            &mut self.pool_wait,
            &mut self.connect,
        ]
    }
}

fn add_each(sums: &mut [u64], more: &[u64]) {
    for (sum, more) in sums.iter_mut().zip(more) {
        *sum += more;
    }
}
