//! The record of one request: stamps on its way, closed when its last owner lets go.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use http::{Method, StatusCode, Version};

use super::access_log::cut;
use super::id::RequestId;
use super::ledger::Ledger;
use super::meters::GaugeGuard;
use super::outcome::{Clock, FailoverReason, Outcome, Prevented, ReplayReason, Shed};
use super::recordings::{FailoverKey, UpstreamRecordings};
use super::slots::Slots;
use super::story::{Head, Story};

/// Longer request ids of an upstream are cut to this many bytes.
const UPSTREAM_ID_BYTES: usize = 128;

/// What is known when a request's head has arrived.
#[derive(Debug, Clone)]
pub struct Opened {
    /// When the head was complete.
    pub at: Instant,
    /// The client's address.
    pub client: SocketAddr,
    /// The client's HTTP version.
    pub version: Version,
    /// The request's method.
    pub method: Method,
    /// The request's path; a query in it is dropped, since keys travel there.
    pub path: String,
}

/// How a request came by its upstream stream.
#[derive(Debug, Clone, Copy)]
pub struct Leased {
    /// From asking the pool to having a stream.
    pub waited: Duration,
    /// Whether a connect had to finish first.
    pub cold: bool,
    /// What is spoken with the upstream.
    pub version: Version,
}

/// One request's record. Share it by `Rc`; when the last clone is dropped it is closed: counted,
/// timed and put into the access log, exactly once.
pub struct Record {
    id: RequestId,
    pub(super) opened: Opened,
    pub(super) story: RefCell<Story>,
    pub(super) ledger: Rc<Ledger>,
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
    pub(super) fn open(ledger: Rc<Ledger>, slots: Rc<Slots>, mut opened: Opened) -> Rc<Record> {
        if let Some(query) = opened.path.find(['?', '#']) {
            opened.path.truncate(query);
        }
        let (id, in_flight) = (ledger.ids.next(), ledger.in_flight.enter());
        let part = Part::Whole(in_flight);
        Rc::new(Record { id, opened, story: RefCell::default(), ledger, slots, part })
    }

    /// Of a probe.
    pub(super) fn open_probe(ledger: Rc<Ledger>, slots: Rc<Slots>) -> Rc<Record> {
        let opened = Opened {
            at: Instant::now(),
            client: SocketAddr::from(([0, 0, 0, 0], 0)),
            version: Version::HTTP_2,
            method: Method::GET,
            path: String::new(),
        };
        let (id, story) = (ledger.ids.next(), RefCell::default());
        Rc::new(Record { id, opened, story, ledger, slots, part: Part::Probe })
    }

    /// The part of a hedge that asks `upstream`.
    pub(super) fn open_hedge(whole: &Rc<Record>, upstream: usize) -> Rc<Record> {
        let opened = Opened { path: String::new(), method: Method::default(), ..whole.opened };
        let upstream = Some(whole.slots.upstream(upstream));
        let story = Story { upstream, ..Story::default() };
        Rc::new(Record {
            id: whole.id,
            opened,
            story: RefCell::new(story),
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

    /// Indices into the configuration's routes and upstreams.
    pub fn routed(&self, route: usize, upstream: usize) {
        let mut story = self.story.borrow_mut();
        story.route = Some(self.slots.route(route));
        story.upstream = Some(self.slots.upstream(upstream));
    }

    /// The route is known, and no upstream of it is asked.
    pub fn on_route(&self, route: usize) {
        self.story.borrow_mut().route = Some(self.slots.route(route));
    }

    /// A stream was had. After a replay this is called again: waits add up in the access log.
    pub fn leased(&self, lease: Leased) {
        let mut story = self.story.borrow_mut();
        story.pool_wait = Some(story.pool_wait.unwrap_or_default() + lease.waited);
        story.cold |= lease.cold;
        story.upstream_version = Some(lease.version);
        let unsettled = story.unsettled.pool_wait.replace(lease.waited);
        if lease.cold || unsettled.is_some() {
            self.of_upstream(&story, |upstream| {
                upstream.cold += u64::from(lease.cold);
                // A lease that no head was sent on.
                if let Some(waited) = unsettled {
                    upstream.pool_wait.record(waited);
                }
            });
        }
    }

    /// The request's head was written to the upstream's socket. The first one ends the overhead's
    /// `request` phase; the upstream's time to first byte runs from the last one.
    pub fn head_sent(&self, at: Instant) {
        let mut story = self.story.borrow_mut();
        let mut active = self.ledger.active.borrow_mut();
        story.settle(&mut active);
        // When a hedge is sent is no matter of what we add.
        if story.head_sent.replace(at).is_none() && matches!(self.part, Part::Whole(_)) {
            let took = at.saturating_duration_since(self.opened.at);
            story.overhead_request = Some(took);
            active.overhead_request.record(took);
        }
    }

    /// The final answer's head was read; only the first call counts, so keep 1xx answers out.
    pub fn upstream_head(&self, at: Instant, status: StatusCode, upstream_id: Option<&str>) {
        let mut story = self.story.borrow_mut();
        if story.upstream_status.is_some() {
            return;
        }
        story.upstream_status = Some(status);
        story.upstream_request_id = upstream_id.map(|id| cut(id, UPSTREAM_ID_BYTES).to_owned());
        if let Some(sent) = story.head_sent {
            let took = at.saturating_duration_since(sent);
            story.upstream_ttfb = Some(took);
            story.unsettled.ttfb = Some(took);
        }
    }

    /// A chunk of the answer's body was read from the upstream.
    pub fn upstream_frame(&self, at: Instant, bytes: usize) {
        let mut story = self.story.borrow_mut();
        story.frames += 1;
        story.bytes_down += bytes as u64;
        if let Some(before) = story.last_frame.replace(at) {
            let gap = at.saturating_duration_since(before);
            story.gap_upstream_max = story.gap_upstream_max.max(Some(gap));
            if let Some(unsettled) = story.unsettled.gap.replace(gap) {
                // Several frames were read for one write.
                self.ledger.active.borrow_mut().gap_upstream.record(unsettled);
            }
        } else if let Some(sent) = story.head_sent {
            story.unsettled.first_body = Some(at.saturating_duration_since(sent));
        }
    }

    /// What was read at `read_at` was handed to the client's side: the first call is the answer's
    /// head, each later one a chunk. Of several not yet written the oldest counts.
    pub fn handed(&self, read_at: Instant) {
        let mut story = self.story.borrow_mut();
        if matches!(story.head, Head::Awaited) {
            story.head = Head::Handed(read_at);
        } else {
            story.unwritten.get_or_insert(read_at);
        }
    }

    /// The client's socket took all that was handed over.
    pub fn written(&self, at: Instant) {
        let mut story = self.story.borrow_mut();
        if story.client_ttfb.is_none() {
            let took = at.saturating_duration_since(self.opened.at);
            story.client_ttfb = Some(took);
            // Our own refusals are quick and would flatter the figure.
            if story.upstream_status.is_some() {
                self.of_upstream(&story, |upstream| upstream.client_ttfb.record(took));
            }
        }
        let mut active = self.ledger.active.borrow_mut();
        story.settle(&mut active);
        if let Head::Handed(read_at) = story.head {
            let took = at.saturating_duration_since(read_at);
            story.head = Head::Written;
            story.overhead_head = Some(took);
            active.overhead_head.record(took);
        }
        if let Some(read_at) = story.unwritten.take() {
            let took = at.saturating_duration_since(read_at);
            story.overhead_chunk_max = story.overhead_chunk_max.max(Some(took));
            active.overhead_chunk.record(took);
            if let Some(before) = story.last_body_write.replace(at) {
                let gap = at.saturating_duration_since(before);
                story.gap_client_max = story.gap_client_max.max(Some(gap));
                active.gap_client.record(gap);
            }
        }
    }

    /// Bytes of the request's body went up.
    pub fn request_bytes(&self, bytes: usize) {
        self.whole().story.borrow_mut().bytes_up += bytes as u64;
    }

    /// The request was sent again.
    pub fn replayed(&self, reason: ReplayReason) {
        self.whole().story.borrow_mut().replays += 1;
        self.ledger.active.borrow_mut().replays[reason as usize] += 1;
    }

    /// Lines of its head or trailers were not forwarded for their names' underscores.
    pub fn withheld(&self, lines: u64) {
        if lines > 0 {
            self.ledger.active.borrow_mut().withheld += lines;
        }
    }

    /// The upstream was left for another of its group.
    pub fn failed_over(&self, to: usize, reason: FailoverReason) {
        let to = self.slots.upstream(to);
        let mut story = self.story.borrow_mut();
        let mut active = self.ledger.active.borrow_mut();
        // What is known so far is of the one that was left.
        story.settle(&mut active);
        let Some(from) = story.upstream.replace(to) else { return };
        story.left.push((from, reason));
        *active.failovers.entry(FailoverKey { from, to, reason }).or_default() += 1;
    }

    /// All failed, and this one is asked again after a pause.
    pub fn retried(&self, to: usize, reason: FailoverReason, waited: Duration) {
        let to = self.slots.upstream(to);
        let mut story = self.story.borrow_mut();
        let mut active = self.ledger.active.borrow_mut();
        story.settle(&mut active);
        if let Some(from) = story.upstream.replace(to) {
            story.left.push((from, reason));
        }
        story.retries += 1;
        story.retry_wait = Some(story.retry_wait.unwrap_or_default() + waited);
        active.upstream(to, |upstream| upstream.retries += 1);
    }

    /// Nobody after it did better: an answer that was passed over is the client's after all.
    pub fn fell_back(&self, upstream: usize, version: Version) {
        let mut story = self.story.borrow_mut();
        story.settle(&mut self.ledger.active.borrow_mut());
        story.upstream = Some(self.slots.upstream(upstream));
        story.upstream_version = Some(version);
        // It was sent to others since: how long this one took is not known any more.
        story.head_sent = None;
    }

    /// Somebody was left to ask, and was not asked.
    pub fn attempt_prevented(&self, why: Prevented) {
        self.story.borrow_mut().prevented = Some(why);
        self.ledger.active.borrow_mut().prevented[why as usize] += 1;
    }

    /// A clock ran out on the upstream that is asked now.
    pub fn timed_out(&self, clock: Clock) {
        let story = self.story.borrow();
        self.of_upstream(&story, |upstream| upstream.timeouts[clock as usize] += 1);
    }

    /// Nobody wants the answer any more, and the upstream was told `took` later.
    pub fn cancelled(&self, took: Duration) {
        if matches!(self.part, Part::Probe) {
            return;
        }
        let mut story = self.whole().story.borrow_mut();
        story.cancel_max = story.cancel_max.max(Some(took));
        self.ledger.active.borrow_mut().cancel.record(took);
    }

    /// What the client is answered, by the upstream or by us.
    pub fn status(&self, status: StatusCode) {
        self.story.borrow_mut().status = Some(status);
    }

    /// The kind of an error of ours; the first one stays, as later ones follow from it.
    pub fn fault(&self, kind: &'static str) {
        self.story.borrow_mut().fault.get_or_insert(kind);
    }

    /// Its answer was ended for want of memory, since the client took nothing.
    pub fn evicted(&self) {
        self.ledger.active.borrow_mut().sheds[Shed::Evicted as usize] += 1;
    }

    /// How it ended; the first call wins. Without one it counts as [`Outcome::ClientGone`],
    /// or as [`Outcome::TimedOut`] once the worker cuts what is left.
    pub fn end(&self, outcome: Outcome) {
        self.story.borrow_mut().outcome.get_or_insert(outcome);
    }

    fn of_upstream(&self, story: &Story, touch: impl FnOnce(&mut UpstreamRecordings)) {
        if let Some(id) = story.upstream {
            self.ledger.active.borrow_mut().upstream(id, touch);
        }
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        let ledger = Rc::clone(&self.ledger);
        match self.part {
            Part::Whole(_) => ledger.close(self, Instant::now()),
            Part::Probe => {}
            Part::Hedge(_) => self.story.get_mut().settle(&mut ledger.active.borrow_mut()),
        }
    }
}
