//! Hands an answer's chunks to the client's side, and watches whether the client takes them.

use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;

use super::report::Report;
use crate::admit::Stock;
use crate::record::Record;
use crate::relay::bounds::Bounds;
use crate::relay::in_flight::{Outstanding, TrackedBytes};
use crate::transport::Wire;

/// What the writer of HTTP/1.1 has copied of an answer that the client does not take: 32 KiB and one part
/// more, in a buffer that doubles as it grows.
const COPIED: usize = 64 * 1024;

/// The client's side of an answer's body.
pub(super) struct Delivery {
    /// What the writer holds of this answer.
    out: Rc<Outstanding>,
    wire: Rc<Wire>,
    /// The client's flush count when something was last handed over.
    handed_at: u64,
    /// What is left of the answer's `content-length`, where it has one.
    remaining: Option<u64>,
    /// Bytes that were handed over.
    sent: u64,
    /// In this poll of the client's task the writer asked for more than there was.
    hungry: bool,
    /// Since when the writer has not asked for more, because the client takes nothing.
    behind_since: Option<Instant>,
    /// The client's connection carries other answers beside this one.
    shares_connection: bool,
    /// What is counted beside what the writer holds, where memory has a ceiling.
    charged: usize,
}

impl Delivery {
    pub(super) fn new(wire: &Rc<Wire>, stock: &Rc<Stock>, bounds: &Bounds) -> Self {
        Self {
            out: Outstanding::on(wire, stock.share()),
            wire: Rc::clone(wire),
            handed_at: wire.flushes(),
            remaining: bounds.length,
            sent: 0,
            hungry: false,
            behind_since: None,
            shares_connection: bounds.stall.is_some(),
            charged: 0,
        }
    }

    pub(super) fn wire(&self) -> &Wire {
        &self.wire
    }

    pub(super) fn begin_poll(&mut self) {
        self.hungry = false;
    }

    /// The writer asked for more than there is.
    pub(super) fn is_hungry(&self) -> bool {
        self.hungry
    }

    /// As much was handed over as the answer's head says.
    pub(super) fn is_whole(&self) -> bool {
        self.remaining == Some(0)
    }

    /// The head goes over to the writer; `last`: nothing comes after it.
    pub(super) fn head(&mut self, last: bool, record: &Rc<Record>) {
        self.handed_at = self.wire.flushes();
        if last || self.is_whole() {
            self.wire.handed_last(record);
        } else {
            self.wire.handed_answer(record);
        }
    }

    /// A chunk goes over to the writer.
    pub(super) fn chunk(&mut self, chunk: Bytes, last: bool, record: &Rc<Record>) -> TrackedBytes {
        if self.behind_since.take().is_some() {
            self.caught_up();
        }
        self.sent += chunk.len() as u64;
        self.remaining = self.remaining.map(|left| left.saturating_sub(chunk.len() as u64));
        self.head(last, record);
        self.out.track(chunk)
    }

    /// The end goes over to the writer, after all else.
    pub(super) fn end(&self, record: &Rc<Record>) {
        self.wire.handed_last(record);
    }

    /// The writer asked and was given nothing; `hungry`: because the upstream has not sent it yet.
    pub(super) fn asked(&mut self, hungry: bool) {
        self.hungry = hungry;
        if hungry && self.behind_since.take().is_some() {
            self.caught_up();
        }
    }

    /// The writer did not ask. Since when that is so.
    pub(super) fn fall_behind(&mut self) -> Instant {
        *self.behind_since.get_or_insert_with(Instant::now)
    }

    /// The writer asks for more, and may hold what it asked for before: the client takes nothing, and the
    /// upstream, which was last heard at `heard`, sends nothing either. Ready as [`Delivery::poll_ended`].
    pub(super) fn poll_writer(
        &mut self,
        cx: &mut Context<'_>,
        heard: Instant,
        report: &Report,
    ) -> Poll<()> {
        let Some(share) = self.out.share() else { return Poll::Pending };
        if !self.out.is_held() {
            share.go_on();
            return Poll::Pending;
        }
        self.poll_ended(cx, heard, report)
    }

    /// It was given up for want of memory, and must take nothing more before it goes.
    pub(super) fn is_ended(&self) -> bool {
        self.out.share().is_some_and(|share| share.is_ended())
    }

    /// Ready if the client, which has taken nothing since then, was given up for want of memory.
    pub(super) fn poll_ended(
        &mut self,
        cx: &mut Context<'_>,
        since: Instant,
        report: &Report,
    ) -> Poll<()> {
        let Some(share) = self.out.share() else { return Poll::Pending };
        share.wait(since, cx.waker());
        if !share.is_ended() {
            return Poll::Pending;
        }
        if self.wire.is_full() {
            // What the connection was given stays with it, whoever ends.
            self.wire.doom();
        }
        report.evict();
        Poll::Ready(())
    }

    /// Counts what is held beside what the writer has: `buffered` bytes, and what that one copied.
    pub(super) fn charge(&mut self, buffered: usize) {
        let Some(share) = self.out.share() else { return };
        // Over HTTP/1.1 the writer has copied what it took, and dropped the pieces.
        let copied = if self.shares_connection { 0 } else { COPIED };
        let before = std::mem::replace(&mut self.charged, buffered + copied);
        share.set(before, self.charged);
    }

    /// The client takes again.
    fn caught_up(&mut self) {
        if let Some(share) = self.out.share() {
            let before = std::mem::take(&mut self.charged);
            share.set(before, 0);
            share.go_on();
        }
    }

    /// All that was handed over is out of the writer's hands, and flushed since. Otherwise the task is woken
    /// to look again.
    pub(super) fn has_left(&mut self, cx: &Context<'_>) -> bool {
        if !self.out.is_free(cx.waker()) {
            self.handed_at = self.wire.flushes();
            return false;
        }
        if self.wire.flushes() == self.handed_at {
            self.wire.wake_on_flush(cx.waker());
            return false;
        }
        true
    }

    /// The body goes; what the writer still holds of it is the connection's.
    pub(super) fn leave(&mut self, record: &Record) {
        self.caught_up();
        record.sent(self.sent);
        if self.shares_connection
            && self.out.is_held()
            && let Some(share) = self.out.share()
        {
            share.leave_to(&self.wire);
        }
    }
}
