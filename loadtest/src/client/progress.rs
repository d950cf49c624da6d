//! What one request has shown so far: the part of an exchange that both protocols share.

use http::header::CONTENT_TYPE;
use http::{HeaderMap, StatusCode};
use sha2::{Digest, Sha256};

use super::clock::Mono;
use super::outcome::{Check, Failure, FailureKind, Outcome, Stamps};
use super::sse::{Kind, Needles, Splitter};
use super::stamped::KernelStamp;

/// Told of a stream as it comes. Called on the data path: must not block.
pub trait Watch {
    /// A read brought body bytes.
    fn read(&mut self, at: Mono, bytes: &[u8]) {
        let _ = (at, bytes);
    }
    /// An event (or, outside an event stream, a read) came `nanos` after the one before; 0 for two
    /// that came in one read.
    fn gap(&mut self, at: Mono, nanos: u64) {
        let _ = (at, nanos);
    }
    /// The kernel had received what was read now `nanos` ago: this client's own delay. Told only
    /// with kernel stamps; over HTTP/2 of what the connection, not the stream, read last.
    fn wake(&mut self, at: Mono, nanos: u64) {
        let _ = (at, nanos);
    }
    /// A frame that the mock upstream stamped was `nanos` on its way.
    fn leg(&mut self, at: Mono, nanos: u64) {
        let _ = (at, nanos);
    }
}

/// Watches nothing.
impl Watch for () {}

/// One read that brought body bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// When.
    pub at: Mono,
    /// How many.
    pub bytes: usize,
}

/// Keeps the whole body and every arrival: for tests and demonstrations, not for load.
#[derive(Clone, Debug, Default)]
pub struct Trace {
    /// Body bytes in order.
    pub body: Vec<u8>,
    /// One entry per run of body bytes handed up by a read.
    pub arrivals: Vec<Arrival>,
    /// Gaps between events in nanoseconds.
    pub gaps: Vec<u64>,
    /// One-way times of stamped frames in nanoseconds.
    pub legs: Vec<u64>,
    /// This client's own delays in nanoseconds, with kernel stamps.
    pub wakes: Vec<u64>,
}

impl Watch for Trace {
    fn read(&mut self, at: Mono, bytes: &[u8]) {
        self.body.extend_from_slice(bytes);
        self.arrivals.push(Arrival { at, bytes: bytes.len() });
    }
    fn gap(&mut self, _at: Mono, nanos: u64) {
        self.gaps.push(nanos);
    }
    fn leg(&mut self, _at: Mono, nanos: u64) {
        self.legs.push(nanos);
    }
    fn wake(&mut self, _at: Mono, nanos: u64) {
        self.wakes.push(nanos);
    }
}

thread_local! {
    static NEEDLES: Needles = Needles::new();
}

/// The shared part of an exchange. It is fed by the protocol and ends as an [`Outcome`].
pub(super) struct Progress<'a, W> {
    outcome: Outcome,
    watch: &'a mut W,
    hash: Option<Sha256>,
    /// `Some` once the answer is known to be an event stream.
    events: Option<Splitter>,
    last: Option<Mono>,
}

impl<'a, W: Watch> Progress<'a, W> {
    pub(super) fn new(due: Mono, hash: bool, watch: &'a mut W) -> Self {
        let stamps = Stamps { due, started: Mono::now(), ..Stamps::default() };
        let outcome = Outcome { stamps, ..Outcome::default() };
        Self { outcome, watch, hash: hash.then(Sha256::new), events: None, last: None }
    }

    pub(super) fn sent(&mut self, at: Mono) {
        self.outcome.stamps.sent = Some(at);
    }

    pub(super) fn head(&mut self, at: Mono, status: StatusCode, headers: HeaderMap) {
        self.outcome.stamps.head = Some(at);
        self.outcome.status = Some(status.as_u16());
        let stream = headers
            .get(CONTENT_TYPE)
            .is_some_and(|value| value.as_bytes().starts_with(b"text/event-stream"));
        self.events = stream.then(Splitter::default);
        self.outcome.headers = headers;
    }

    /// Something was read at `at`.
    pub(super) fn woke(&mut self, at: Mono, stamp: &KernelStamp) {
        if let Some(received) = stamp.last() {
            self.watch.wake(at, at.since(received));
        }
    }

    /// Whether the answer's head has come.
    pub(super) fn has_head(&self) -> bool {
        self.outcome.stamps.head.is_some()
    }

    pub(super) fn body(&mut self, at: Mono, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        self.outcome.stamps.first_body.get_or_insert(at);
        self.outcome.bytes += bytes.len() as u64;
        self.watch.read(at, bytes);
        let Self { outcome, watch, hash, events, last } = self;
        let Some(splitter) = events else {
            if let Some(hash) = hash {
                hash.update(bytes);
            }
            if let Some(before) = last.replace(at) {
                watch.gap(at, at.since(before));
            }
            NEEDLES.with(|needles| {
                outcome.usage_tokens = needles.usage_tokens(bytes).or(outcome.usage_tokens);
            });
            return;
        };
        NEEDLES.with(|needles| {
            splitter.feed(bytes, |event| {
                Event { needles, at, bytes: event }.count(outcome, *watch, last);
                if let Some(hash) = hash {
                    check(needles, event, hash, &mut outcome.check);
                    hash.update(event);
                }
            });
        });
    }

    pub(super) fn trailers(&mut self, trailers: HeaderMap) {
        self.outcome.trailers = Some(trailers);
    }

    /// Closes the record: with the failure of the exchange, or with one the answer itself shows.
    pub(super) fn finish(mut self, at: Mono, failure: Option<Failure>) -> Outcome {
        if let (Some(hash), Some(splitter)) = (&mut self.hash, &self.events) {
            hash.update(splitter.rest());
        }
        self.outcome.stamps.end = at;
        self.outcome.sha256 = self.hash.take().map(|hash| hash.finalize().into());
        self.outcome.failure =
            failure.or_else(|| shown_failure(&self.outcome, self.events.is_some()));
        self.outcome
    }
}

/// One complete event and its moment.
struct Event<'a> {
    needles: &'a Needles,
    at: Mono,
    bytes: &'a [u8],
}

impl Event<'_> {
    fn count(&self, outcome: &mut Outcome, watch: &mut impl Watch, last: &mut Option<Mono>) {
        let kind = self.needles.kind(self.bytes);
        if kind == Kind::Comment {
            return;
        }
        let at = self.at;
        outcome.events += 1;
        if let Some(before) = last.replace(at) {
            watch.gap(at, at.since(before));
        }
        if let Some(sent) = self.needles.sent_ns(self.bytes) {
            watch.leg(at, at.since(Mono(sent)));
            outcome.stamps.mock_sent.get_or_insert(Mono(sent));
        }
        let stamps = &mut outcome.stamps;
        if stamps.first_event.is_none() {
            stamps.first_event = Some(at);
            stamps.mock_received = self.needles.recv_ns(self.bytes).map(Mono);
        }
        match kind {
            Kind::Content => {
                stamps.first_content.get_or_insert(at);
                stamps.last_content = Some(at);
                outcome.contents += 1;
                return;
            }
            Kind::Done => outcome.done = true,
            Kind::Error if outcome.failure.is_none() => {
                let shown = String::from_utf8_lossy(&self.bytes[..self.bytes.len().min(300)]);
                outcome.failure = Some(Failure::new(FailureKind::ErrorEvent, shown.trim_end()));
            }
            Kind::Error | Kind::Comment | Kind::Other => {}
        }
        outcome.usage_tokens = self.needles.usage_tokens(self.bytes).or(outcome.usage_tokens);
    }
}

/// Compares the digest that `event` carries, if any, with that of all bytes before it.
fn check(needles: &Needles, event: &[u8], hash: &Sha256, verdict: &mut Check) {
    let Some(hex) = needles.digest(event) else { return };
    let own: [u8; 32] = hash.clone().finalize().into();
    let same = own.iter().zip(hex.chunks_exact(2)).all(|(byte, pair)| {
        std::str::from_utf8(pair).ok().and_then(|pair| u8::from_str_radix(pair, 16).ok())
            == Some(*byte)
    });
    let found = if same { Check::Same } else { Check::Different };
    if *verdict != Check::Different {
        *verdict = found;
    }
}

/// A failure that the answer shows although its framing was whole.
fn shown_failure(outcome: &Outcome, stream: bool) -> Option<Failure> {
    let status = outcome.status?;
    if !(200..300).contains(&status) {
        return Some(Failure::new(FailureKind::Status, &format!("status {status}")));
    }
    if outcome.check == Check::Different {
        return Some(Failure::new(
            FailureKind::Mismatch,
            "the body differs from what the upstream sent",
        ));
    }
    if let Some(failure) = &outcome.failure {
        return Some(failure.clone());
    }
    (stream && !outcome.done)
        .then(|| Failure::new(FailureKind::NoDone, "the stream ended without its last event"))
}
