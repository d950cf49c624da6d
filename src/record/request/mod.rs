//! The record of one request: stamps on its way, closed when its last owner lets go.

pub(in crate::record) mod hedge;
mod stamps;
mod state;

pub use stamps::Leased;

use std::cell::RefCell;
use std::mem;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::{Method, StatusCode, Version};

use crate::config::{ModelId, RouteId, UpstreamId};
use crate::error::Error;
use crate::record::collect::finished::{Charged, Facts, Finished, Named, Opened};
use crate::record::collect::ledger::Ledger;
use crate::record::collect::meters::GaugeGuard;
use crate::record::collect::recordings::{FailoverKey, RequestKey, UpstreamRecordings};
use crate::record::collect::slots::Slots;
use crate::record::id::RequestId;
use crate::record::outcome::{
    Clock, FailoverReason, NoUsage, Outcome, Phase, Prevented, ReplayReason, Shed,
};
use crate::record::pseudonym::Hashed;
use crate::record::usage::Usage;
use state::RequestState;

/// One request's record. Share it by `Rc`; when the last clone is dropped it is closed: counted,
/// timed and put into the access log, exactly once.
pub struct Record {
    id: RequestId,
    opened: Opened,
    state: RefCell<RequestState>,
    ledger: Rc<Ledger>,
    slots: Rc<Slots>,
    part: Part,
}

/// What a record is of.
enum Part {
    /// A request, counted while it is in flight.
    Whole(#[expect(dead_code, reason = "it counts as long as it lives")] GaugeGuard),
    /// Its second attempt beside the first: what it goes through until one of them has won.
    Hedge(Rc<Record>),
    /// A probe: nobody's request, and counted nowhere as one.
    Probe,
}

impl Record {
    pub(in crate::record) fn open(
        ledger: Rc<Ledger>,
        slots: Rc<Slots>,
        opened: Opened,
    ) -> Rc<Record> {
        let (id, in_flight) = (ledger.ids.next(), ledger.in_flight.enter());
        let part = Part::Whole(in_flight);
        Rc::new(Record { id, opened, state: RefCell::default(), ledger, slots, part })
    }

    /// Of a probe.
    pub(in crate::record) fn open_probe(ledger: Rc<Ledger>, slots: Rc<Slots>) -> Rc<Record> {
        let opened = Opened {
            at: Instant::now(),
            client: SocketAddr::from(([0, 0, 0, 0], 0)).into(),
            version: Version::HTTP_2,
            method: Method::GET,
            path: String::new(),
        };
        let (id, state) = (ledger.ids.next(), RefCell::default());
        Rc::new(Record { id, opened, state, ledger, slots, part: Part::Probe })
    }

    /// The part of a hedge that asks `upstream`.
    fn open_hedge(whole: &Rc<Record>, upstream: UpstreamId) -> Rc<Record> {
        let opened = Opened { path: String::new(), method: Method::default(), ..whole.opened };
        let upstream = Some(whole.slots.upstream(upstream));
        let facts = Facts { upstream, ..Facts::default() };
        let state = RequestState { facts, ..RequestState::default() };
        Rc::new(Record {
            id: whole.id,
            opened,
            state: RefCell::new(state),
            ledger: Rc::clone(&whole.ledger),
            slots: Rc::clone(&whole.slots),
            part: Part::Hedge(Rc::clone(whole)),
        })
    }

    /// What belongs to the request, whoever of two was asked.
    fn whole(&self) -> &Record {
        match &self.part {
            Part::Whole(_) | Part::Probe => self,
            Part::Hedge(whole) => whole,
        }
    }

    /// When its head had arrived.
    pub fn opened_at(&self) -> Instant {
        self.opened.at
    }

    /// The request's own id, for `x-firstbyte-request-id` and the access log.
    pub fn id(&self) -> RequestId {
        self.id
    }

    /// Other requests may be under way on the client's connection.
    pub fn shares_connection(&self) -> bool {
        self.opened.version >= Version::HTTP_2
    }

    /// The route is known, and who is asked first.
    pub fn routed(&self, route: RouteId, upstream: UpstreamId) {
        let mut state = self.state.borrow_mut();
        state.facts.route = Some(self.slots.route(route));
        state.facts.upstream = Some(self.slots.upstream(upstream));
    }

    /// The route is known, and no upstream of it is asked.
    pub fn on_route(&self, route: RouteId) {
        self.state.borrow_mut().facts.route = Some(self.slots.route(route));
    }

    /// The pattern that the request's model counts as; `None` where it is one of the others.
    pub fn model(&self, id: Option<ModelId>) {
        self.state.borrow_mut().facts.model = Some(self.slots.model(id));
    }

    /// It began, read or stopped a kept stream; `short`: the beginning of that one's id.
    pub fn of_stream(&self, short: &str) {
        self.state.borrow_mut().facts.stream = Some(short.into());
    }

    /// Bytes of the request's body went up.
    pub fn request_bytes(&self, bytes: usize) {
        self.whole().state.borrow_mut().facts.bytes_up += bytes as u64;
    }

    /// By which names its client knows it, `x-request-id` and `traceparent`; and what names its end user.
    pub fn named(&self, request_id: Option<&str>, traceparent: Option<&str>, hashed: Hashed) {
        self.state.borrow_mut().facts.named = Named::of(request_id, traceparent, hashed);
    }

    /// Whose it is, by the configured name.
    pub fn of_client(&self, name: &Arc<str>) {
        let name = Arc::clone(name);
        let charged = Charged { name, usage: None, cost: 0, estimated: false };
        self.state.borrow_mut().facts.client = Some(Box::new(charged));
    }

    /// What it came to, in tokens and nanodollars. `unknown`: why that is an estimate, where it is one.
    pub fn charged(&self, usage: Usage, cost: u64, unknown: Option<NoUsage>) {
        if let Some(client) = &mut self.state.borrow_mut().facts.client {
            (client.usage, client.cost) = (Some(usage), cost);
            client.estimated = unknown.is_some();
        }
        if let Some(why) = unknown {
            self.ledger.active.borrow_mut().usage_unknown[why as usize] += 1;
        }
    }

    /// Bytes of its body that went up, and frames of its answer's body that came down.
    pub fn passed(&self) -> (u64, u64) {
        let facts = &self.state.borrow().facts;
        (facts.bytes_up, facts.frames)
    }

    /// Bytes of the answer's body went over to the client's side.
    pub fn sent(&self, bytes: u64) {
        self.state.borrow_mut().facts.bytes_sent += bytes;
    }

    /// The client of a stream that is silent got a comment.
    pub fn heartbeat(&self) {
        self.ledger.active.borrow_mut().heartbeats += 1;
    }

    /// The request was sent again.
    pub fn replayed(&self, reason: ReplayReason) {
        self.whole().state.borrow_mut().facts.replays += 1;
        self.ledger.active.borrow_mut().replays[reason as usize] += 1;
    }

    /// Lines of its head or trailers were not forwarded for their names' underscores.
    pub fn withheld(&self, lines: u64) {
        if lines > 0 {
            self.ledger.active.borrow_mut().withheld += lines;
        }
    }

    /// The upstream was left for another of its group.
    pub fn failed_over(&self, to: UpstreamId, reason: FailoverReason) {
        let to = self.slots.upstream(to);
        let mut state = self.state.borrow_mut();
        let mut active = self.ledger.active.borrow_mut();
        // What is known so far is of the one that was left.
        state.settle(&mut active);
        let Some(from) = state.facts.upstream.replace(to) else { return };
        state.facts.left.push((from, reason));
        *active.failovers.entry(FailoverKey { from, to, reason }).or_default() += 1;
    }

    /// All failed, and this one is asked again after a pause.
    pub fn retried(&self, to: UpstreamId, reason: FailoverReason, waited: Duration) {
        let to = self.slots.upstream(to);
        let mut state = self.state.borrow_mut();
        let mut active = self.ledger.active.borrow_mut();
        state.settle(&mut active);
        if let Some(from) = state.facts.upstream.replace(to) {
            state.facts.left.push((from, reason));
        }
        state.facts.retries += 1;
        state.facts.retry_wait = Some(state.facts.retry_wait.unwrap_or_default() + waited);
        active.upstream(to, |upstream| upstream.retries += 1);
    }

    /// Nobody after it did better: an answer that was passed over is the client's after all.
    pub fn fell_back(&self, upstream: UpstreamId, version: Version) {
        let mut state = self.state.borrow_mut();
        state.settle(&mut self.ledger.active.borrow_mut());
        state.facts.upstream = Some(self.slots.upstream(upstream));
        state.facts.upstream_version = Some(version);
        // It was sent to others since: how long this one took is not known any more.
        state.head_sent = None;
    }

    /// Somebody was left to ask, and was not asked.
    pub fn attempt_prevented(&self, why: Prevented) {
        self.state.borrow_mut().facts.prevented = Some(why);
        self.ledger.active.borrow_mut().prevented[why as usize] += 1;
    }

    /// A clock ran out on the upstream that is asked now.
    pub fn timed_out(&self, clock: Clock) {
        let state = self.state.borrow();
        self.of_upstream(&state, |upstream| upstream.timeouts[clock as usize] += 1);
    }

    /// What the client is answered, by the upstream or by us.
    pub fn status(&self, status: StatusCode) {
        self.state.borrow_mut().facts.status = Some(status);
    }

    /// An error of ours ends it, or its answer; the first one stays, as later ones follow from it.
    pub fn failed(&self, error: &Error) {
        let facts = &mut self.state.borrow_mut().facts;
        if facts.fault.is_none() {
            (facts.fault, facts.cause) = (Some(error.kind().code()), error.cause());
        }
    }

    /// The upstream that is asked now failed it, whether or not another one is asked after that.
    pub fn upstream_failed(&self, error: &Error) {
        let upstream = self.state.borrow().facts.upstream;
        let (Some(upstream), Some(cause)) = (upstream, error.cause()) else { return };
        *self.ledger.active.borrow_mut().failures.entry((upstream, cause)).or_default() += 1;
        if !error.kind().is_connect() {
            self.ledger.failures.tell(upstream, cause, error, self.id);
        }
    }

    /// Its answer was ended for want of memory, since the client took nothing.
    pub fn evicted(&self) {
        self.ledger.active.borrow_mut().sheds[Shed::Evicted as usize] += 1;
    }

    /// How it ended; the first call wins. Without one it counts as [`Outcome::ClientGone`],
    /// or as [`Outcome::TimedOut`] once the worker cuts what is left.
    pub fn end(&self, outcome: Outcome) {
        self.state.borrow_mut().outcome.get_or_insert(outcome);
    }

    fn of_upstream(&self, state: &RequestState, touch: impl FnOnce(&mut UpstreamRecordings)) {
        if let Some(id) = state.facts.upstream {
            self.ledger.active.borrow_mut().upstream(id, touch);
        }
    }

    /// For `Drop`, since it takes what exporters need.
    fn close(&mut self, now: Instant) {
        let state = self.state.get_mut();
        state.settle(&mut self.ledger.active.borrow_mut());
        let outcome = state.outcome.unwrap_or_else(|| {
            let (outcome, fault) = self.ledger.untold_end();
            state.facts.fault = state.facts.fault.or(fault);
            outcome
        });
        let (id, opened, facts) = (self.id, &mut self.opened, &mut state.facts);
        let began = facts.upstream_status.is_some();
        let key = RequestKey {
            route: facts.route,
            upstream: facts.upstream,
            code: facts.status,
            outcome,
            phase: if began { Phase::AfterHead } else { Phase::BeforeHead },
        };
        let duration = now.saturating_duration_since(opened.at);
        self.ledger.close(key, facts.model, duration, || Finished {
            id,
            opened: Opened {
                path: mem::take(&mut opened.path),
                method: mem::take(&mut opened.method),
                ..*opened
            },
            facts: mem::take(facts),
            outcome,
            duration,
        });
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        match self.part {
            Part::Whole(_) => self.close(Instant::now()),
            Part::Probe => {}
            Part::Hedge(_) => self.state.get_mut().settle(&mut self.ledger.active.borrow_mut()),
        }
    }
}
