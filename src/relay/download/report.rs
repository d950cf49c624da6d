//! Who keeps account of an answer: its observers, the request's record, the upstream's health, the permit.

use std::rc::Rc;
use std::time::Instant;

use crate::admit::{Permit, Seen};
use crate::error::{Blame, Error, Kind, Side};
use crate::record::{Outcome, Record};
use crate::relay::observers::{Observers, Unknown};
use crate::upstream::AnswerGuard;

/// They live as long as the answer's body; dropped with it, the permit goes last.
pub(super) struct Report {
    pub(super) observers: Observers,
    /// Where the upstream is judged by how its answer ends.
    answer_guard: Option<AnswerGuard>,
    pub(super) record: Rc<Record>,
    permit: Permit,
}

impl Report {
    pub(super) fn new(
        record: &Rc<Record>,
        permit: Permit,
        answer_guard: Option<AnswerGuard>,
        observers: Observers,
    ) -> Self {
        Self { observers, answer_guard, record: Rc::clone(record), permit }
    }

    /// A frame came from the upstream.
    pub(super) fn frame(&self, at: Instant, bytes: usize) {
        self.record.upstream_frame(at, bytes);
    }

    /// The body's first bytes came from the upstream.
    pub(super) fn begun(&mut self, at: Instant) {
        self.permit.answered(at);
    }

    /// The upstream failed, though its answer began. Not to be called where all was said: nobody misses
    /// what comes after.
    pub(super) fn blame_upstream(&mut self) {
        if let Some(answer_guard) = self.answer_guard.take() {
            answer_guard.cut();
        }
    }

    /// The upstream said all that it had to.
    pub(super) fn ended(&mut self) {
        if let Some(answer_guard) = self.answer_guard.take() {
            answer_guard.ended();
        }
    }

    /// What the answer came to is charged to its client, where clients are known. `unread` came from the upstream
    /// and did not go over to the writer; `is_whole`: the answer came to its end.
    pub(super) fn settle(&mut self, unread: &[u8], is_whole: bool) {
        let Some(charge) = self.permit.take_charge() else { return };
        let told = self.observers.usage(unread, is_whole);
        let (bytes_up, frames) = self.record.passed();
        let unknown = told.and_then(Result::err);
        let seen = unknown.map(|Unknown { at_least, .. }| Seen { bytes_up, frames, at_least });
        let settled = charge.settle(told.and_then(Result::ok), seen, Instant::now());
        self.record.charged(settled.usage, settled.cost, unknown.map(|unknown| unknown.why));
    }

    /// The answer failed, on either side, after all that went over to the writer has left.
    pub(super) fn failed(&self, error: &Error) {
        if self.observers.is_done() {
            // It was complete to its reader before.
            return self.record.end(Outcome::Complete);
        }
        self.told(error);
    }

    /// The upstream's answer, which a pump reads, broke off. What its reader has of it is another's to say.
    pub(super) fn cut(&self, error: &Error) {
        if !self.observers.is_done() {
            self.told(error);
        }
    }

    fn told(&self, error: &Error) {
        // Whoever read the upstream has said so already.
        let is_told = matches!(error.kind(), Kind::ClientDeadline | Kind::StreamCut);
        if error.side() == Side::Upstream && !is_told {
            self.record.upstream_failed(error);
        }
        self.record.failed(error);
        self.record.end(outcome(error.kind().outcome()));
    }

    /// The same, where there is no more to say of it than what it was.
    pub(super) fn ended_by(&self, kind: Kind) {
        self.record.failed(&kind.into());
        self.record.end(outcome(kind.outcome()));
    }

    /// A client that takes nothing is waited for no longer.
    pub(super) fn give_up(&self, kind: Kind) {
        self.record.failed(&kind.into());
        self.record.end(Outcome::TimedOut);
    }

    /// The same, since memory is short.
    pub(super) fn evict(&self) {
        self.record.evicted();
        self.give_up(Kind::ClientMemory);
    }
}

/// What an error means for the record.
pub(crate) fn outcome(blame: Blame) -> Outcome {
    match blame {
        Blame::Upstream => Outcome::UpstreamFailed,
        Blame::Client => Outcome::ClientGone,
        Blame::Timeout => Outcome::TimedOut,
        Blame::Refused => Outcome::Refused,
    }
}
