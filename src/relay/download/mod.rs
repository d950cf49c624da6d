//! An answer's body on its way down.
//!
//! What is read is given on in the same poll; small frames that are ready together leave as one
//! chunk, and nothing waits for a next one. While the client does not take, frames are still drained
//! from the connection that many streams share, into a buffer bounded by this stream's window: its
//! window is opened again only as the client takes. So a slow client costs its window and nobody
//! else anything.

use std::cell::Cell;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use hyper::body::Frame;

use super::bounds::Bounds;
use super::deadline::Deadline;
use super::done::DoneScanner;
use super::drive;
use super::head::clean_trailers;
use super::in_flight::{Outstanding, TrackedBytes};
use super::upload::Upload;
use crate::admit::{Permit, Stock};
use crate::error::{Blame, Error, Kind};
use crate::record::{Outcome, Record};
use crate::transport::Wire;
use crate::upstream::{AnswerGuard, Chunk, RecvBody, SendBody};

/// Small frames that are ready together are joined up to about this size, which one TLS record or
/// HTTP/2 frame still holds (RFC 9113, section 4.2). A frame this large travels alone, uncopied.
const JOIN: usize = 8 * 1024;

/// What the writer of HTTP/1.1 has copied of an answer that the client does not take: 32 KiB and one part
/// more, in a buffer that doubles as it grows.
const COPIED: usize = 64 * 1024;

enum State {
    Open,
    Ended,
    /// The body failed; the client is told once what came before has left.
    Failed(Error),
    /// The failure was told.
    Told,
}

/// An answer's body with everything that lives as long as it does. Dropped early, it resets the
/// upstream's stream at once and closes the record.
#[expect(clippy::struct_excessive_bools, reason = "three of them are of one poll alone")]
pub struct Download {
    source: RecvBody,
    /// Boxed: most answers begin when all of the request is sent, and every one would hold room for it.
    upload: Option<Box<(Upload, SendBody)>>,
    buffered: BytesMut,
    trailers: Option<HeaderMap>,
    state: State,
    bounds: Bounds,
    deadline: Deadline,
    heard: Instant,
    /// Something of the body came.
    begun: bool,
    /// Since when the writer has not asked for more, because the client takes nothing.
    behind_since: Option<Instant>,
    /// In this poll of the client's task the source had nothing more: its waker is registered, and
    /// asking again would only cost.
    registered: bool,
    /// In this poll of the client's task the request's body could not go on: asking again would only cost.
    upload_waits: bool,
    /// In this poll of the client's task the writer asked for more than there was.
    hungry: bool,
    /// What is left of the answer's `content-length`, where it has one.
    remaining: Option<u64>,
    /// The client's flush count when something was last handed over.
    handed_at: Cell<u64>,
    /// What the writer holds of this answer.
    out: Rc<Outstanding>,
    /// What `buffered` counts for, where memory has a ceiling.
    charged: usize,
    done: DoneScanner,
    /// Where the upstream is judged by how its answer ends.
    answer_guard: Option<AnswerGuard>,
    wire: Rc<Wire>,
    record: Rc<Record>,
    permit: Permit,
}

impl Download {
    /// Joins an answer's body with the client's side. `upload` is the rest of the request's body.
    pub fn new(
        source: RecvBody,
        upload: Option<(Upload, SendBody)>,
        bounds: Bounds,
        answer_guard: Option<AnswerGuard>,
        wire: &Rc<Wire>,
        record: &Rc<Record>,
        (permit, stock): (Permit, &Rc<Stock>),
    ) -> Self {
        let state = if source.is_end() { State::Ended } else { State::Open };
        let heard = source.read_at();
        let mut download = Self {
            source,
            upload: upload.map(Box::new),
            buffered: BytesMut::new(),
            trailers: None,
            state,
            bounds,
            deadline: Deadline::default(),
            heard,
            begun: false,
            behind_since: None,
            registered: false,
            upload_waits: false,
            hungry: false,
            remaining: bounds.length,
            handed_at: Cell::new(wire.flushes()),
            out: Outstanding::on(wire, stock.share()),
            charged: 0,
            done: DoneScanner::default(),
            answer_guard,
            wire: Rc::clone(wire),
            record: Rc::clone(record),
            permit,
        };
        record.handed(heard);
        download.hand();
        download
    }

    /// Nothing more will come.
    pub(super) fn is_end(&self) -> bool {
        matches!(self.state, State::Ended) && self.buffered.is_empty() && self.trailers.is_none()
    }

    /// What the writer asks for: the next frame, as soon as there is one.
    pub(super) fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<TrackedBytes>, Error>>> {
        self.poll_upload(cx);
        let chunk = if self.buffered.is_empty() { self.gather(cx) } else { self.take_buffered() };
        if chunk.is_empty() {
            let polled = self.poll_end(cx);
            // A failure that waits for the client to take what came before is the client's to end.
            self.hungry = polled.is_pending() && matches!(self.state, State::Open);
            if self.hungry && self.behind_since.take().is_some() {
                self.caught_up();
            }
            return polled;
        }
        if self.behind_since.take().is_some() {
            self.caught_up();
        }
        self.source.release(chunk.len());
        self.done.push(&chunk);
        self.remaining = self.remaining.map(|left| left.saturating_sub(chunk.len() as u64));
        self.hand();
        Poll::Ready(Some(Ok(Frame::data(self.out.track(chunk)))))
    }

    /// A poll of the client's task begins: whether it will ask is not known yet.
    pub(super) fn begin_poll(&mut self) {
        self.registered = false;
        self.upload_waits = false;
        self.hungry = false;
    }

    /// Called after each poll of the client's task: where the writer did not ask for more, keeps the
    /// connection that others share drained. Ready when the client was given up.
    pub(super) fn drive(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.hungry {
            return self.poll_writer(cx);
        }
        self.poll_upload(cx);
        if !self.is_ended() {
            self.drain(cx);
        }
        let since = *self.behind_since.get_or_insert_with(Instant::now);
        self.charge();
        if self.poll_ended(cx, since).is_ready() {
            return Poll::Ready(());
        }
        let stalled = self.bounds.stall.map(|stall| since + stall);
        let Some(due) = stalled.into_iter().chain(self.bounds.until).min() else {
            return Poll::Pending;
        };
        if self.deadline.poll(cx, due).is_pending() {
            return Poll::Pending;
        }
        let kind = if stalled.is_none_or(|stalled| due < stalled) {
            Kind::ClientDeadline
        } else {
            Kind::ClientWriteStall
        };
        self.give_up(kind);
        Poll::Ready(())
    }

    /// The writer asks for more, and may hold what it asked for before: the client takes nothing, and the
    /// upstream sends nothing either.
    fn poll_writer(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(share) = self.out.share() else { return Poll::Pending };
        if !self.out.is_held() {
            share.go_on();
            return Poll::Pending;
        }
        let since = self.heard;
        self.poll_ended(cx, since)
    }

    /// It was given up for want of memory, and must take nothing more before it goes.
    fn is_ended(&self) -> bool {
        self.out.share().is_some_and(|share| share.is_ended())
    }

    /// Ready if the client, which has taken nothing since then, was given up for want of memory.
    fn poll_ended(&mut self, cx: &mut Context<'_>, since: Instant) -> Poll<()> {
        let Some(share) = self.out.share() else { return Poll::Pending };
        share.wait(since, cx.waker());
        if !share.is_ended() {
            return Poll::Pending;
        }
        if self.wire.is_full() {
            // What the connection was given stays with it, whoever ends.
            self.wire.doom();
        }
        self.record.evicted();
        self.give_up(Kind::ClientMemory);
        Poll::Ready(())
    }

    fn give_up(&mut self, kind: Kind) {
        self.record.fault(kind.code());
        self.record.end(Outcome::TimedOut);
    }

    /// Counts what is held beside what the writer has.
    fn charge(&mut self) {
        let Some(share) = self.out.share() else { return };
        let buffered = if self.buffered.is_empty() { 0 } else { self.buffered.capacity() };
        // Over HTTP/1.1 the writer has copied what it took, and dropped the pieces.
        let copied = if self.bounds.stall.is_none() { COPIED } else { 0 };
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

    fn take_buffered(&mut self) -> Bytes {
        // That these bytes are late is the client's doing, and none of what we add.
        self.record.handed(Instant::now());
        self.buffered.split().freeze()
    }

    /// Reads what is ready: a large frame alone, small ones joined.
    fn gather(&mut self, cx: &mut Context<'_>) -> Bytes {
        let mut first = Bytes::new();
        while matches!(self.state, State::Open) && first.len() + self.buffered.len() < JOIN {
            let Some(data) = self.read(cx) else { break };
            if first.is_empty() && self.buffered.is_empty() {
                self.record.handed(self.heard);
                first = data;
            } else {
                if self.buffered.is_empty() {
                    self.buffered.reserve(JOIN);
                    self.buffered.extend_from_slice(&std::mem::take(&mut first));
                }
                self.buffered.extend_from_slice(&data);
            }
        }
        if matches!(self.state, State::Open) && !self.registered && self.source.is_end() {
            // So that the end can leave with the last bytes. Where the source had nothing more, or
            // said that it ended, there is no need to ask.
            self.state = State::Ended;
        }
        if self.buffered.is_empty() { first } else { self.buffered.split().freeze() }
    }

    /// Reads all that is ready into the buffer; the window stays closed by as much.
    fn drain(&mut self, cx: &mut Context<'_>) {
        while matches!(self.state, State::Open) && self.buffered.len() < self.bounds.buffered {
            let Some(data) = self.read(cx) else { return };
            self.buffered.extend_from_slice(&data);
        }
    }

    /// One frame's bytes if one is ready; ends and failures go into `state`.
    fn read(&mut self, cx: &mut Context<'_>) -> Option<Bytes> {
        while !self.registered {
            match self.source.poll_chunk(cx) {
                Poll::Pending => self.registered = true,
                Poll::Ready(Some(Ok(Chunk::Data(data)))) => {
                    self.heard = self.source.read_at();
                    self.record.upstream_frame(self.heard, data.len());
                    if !data.is_empty() {
                        if !std::mem::replace(&mut self.begun, true) {
                            self.permit.answered();
                        }
                        return Some(data);
                    }
                }
                Poll::Ready(Some(Ok(Chunk::Trailers(mut trailers)))) => {
                    clean_trailers(&mut trailers);
                    self.trailers = Some(trailers);
                    self.state = State::Ended;
                    return None;
                }
                Poll::Ready(Some(Err(broken))) => {
                    if self.source.is_news(&broken) {
                        self.blame();
                    }
                    self.state = State::Failed(broken.into_cut());
                    return None;
                }
                Poll::Ready(None) => {
                    self.state = State::Ended;
                    return None;
                }
            }
        }
        None
    }

    fn poll_upload(&mut self, cx: &mut Context<'_>) {
        let Some((upload, sink)) = self.upload.as_deref_mut() else { return };
        if self.upload_waits {
            return;
        }
        let polled = if upload.is_ended() { Poll::Pending } else { upload.poll(cx, sink) };
        let polled = if polled.is_pending() { upload.poll_ended(cx).map(Err) } else { polled };
        match polled {
            Poll::Pending => self.upload_waits = true,
            Poll::Ready(Ok(())) => {
                if let Some((rest, _closed)) = self.upload.take().map(|both| *both) {
                    drive::discard_request_body(rest);
                }
            }
            Poll::Ready(Err(error)) => {
                self.upload = None;
                if matches!(self.state, State::Open) {
                    self.state = State::Failed(error);
                }
            }
        }
    }

    /// No bytes are left to give: the end, the failure, or waiting.
    fn poll_end(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<TrackedBytes>, Error>>> {
        match &self.state {
            State::Open => {
                let (due, clock, kind) = self.bounds.clock(self.heard, self.begun);
                if self.deadline.poll(cx, due).is_pending() {
                    return Poll::Pending;
                }
                self.record.timed_out(clock);
                self.blame();
                self.state = State::Failed(kind.into());
                self.poll_end(cx)
            }
            State::Ended => {
                let trailers = self.trailers.take();
                self.wire.handed_last(&self.record);
                Poll::Ready(trailers.map(|trailers| Ok(Frame::trailers(trailers))))
            }
            // An error makes the writer drop what it has not written, even the head: what came before
            // the cut leaves first.
            State::Failed(_) if !self.has_left(cx) => Poll::Pending,
            State::Failed(_) | State::Told => self.tell(),
        }
    }

    /// The upstream failed, though its answer began. Not if all was said: nobody misses what comes after.
    fn blame(&mut self) {
        if let Some(answer_guard) = self.answer_guard.take()
            && !self.done.is_done()
        {
            answer_guard.cut();
        }
    }

    /// All that was handed over is out of the writer's hands, and flushed since. Otherwise the task is woken
    /// to look again.
    fn has_left(&self, cx: &Context<'_>) -> bool {
        if !self.out.is_free(cx.waker()) {
            self.handed_at.set(self.wire.flushes());
            return false;
        }
        if self.wire.flushes() == self.handed_at.get() {
            self.wire.wake_on_flush(cx.waker());
            return false;
        }
        true
    }

    fn tell(&mut self) -> Poll<Option<Result<Frame<TrackedBytes>, Error>>> {
        let State::Failed(error) = std::mem::replace(&mut self.state, State::Told) else {
            return Poll::Ready(None);
        };
        self.record.fault(error.kind().code());
        self.record.end(outcome(error.kind().outcome()));
        Poll::Ready(Some(Err(error)))
    }

    /// The head or a chunk goes over to the writer.
    fn hand(&mut self) {
        self.handed_at.set(self.wire.flushes());
        if self.is_end() || self.remaining == Some(0) {
            self.wire.handed_last(&self.record);
        } else {
            self.wire.handed_answer(&self.record);
        }
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

impl Drop for Download {
    fn drop(&mut self) {
        self.caught_up();
        if self.bounds.stall.is_some()
            && self.out.is_held()
            && let Some(share) = self.out.share()
        {
            share.leave_to(&self.wire);
        }
        let whole = matches!(self.state, State::Ended) || self.remaining == Some(0);
        if whole && let Some((rest, _unwanted)) = self.upload.take().map(|both| *both) {
            drive::discard_request_body(rest);
        }
        if (whole || self.done.is_done())
            && let Some(answer_guard) = self.answer_guard.take()
        {
            answer_guard.ended();
        }
        if let State::Failed(error) = &self.state {
            self.record.fault(error.kind().code());
            self.record.end(outcome(error.kind().outcome()));
        } else if self.wire.stalled() {
            self.give_up(Kind::ClientWriteStall);
        } else if self.wire.is_doomed() && !self.is_ended() {
            // Another stream of its connection was, and took it along.
            self.record.evicted();
            self.give_up(Kind::ClientMemory);
        } else if self.done.is_done() {
            // SDKs close once they have read this: the stream was complete to its reader.
            self.record.end(Outcome::Complete);
        } else if let Some(kind) = self.wire.ended_by() {
            self.record.fault(kind.code());
            self.record.end(outcome(kind.outcome()));
        } else if !whole {
            self.wire.give_up();
        }
    }
}
