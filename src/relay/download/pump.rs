//! An upstream's answer that is read with no client in the way: whoever has it keeps what comes.

use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use bytes::Bytes;

use super::reader::{Reader, State};
use super::report::Report;
use super::rest::{RequestRest, Sending};
use crate::admit::Permit;
use crate::error::Error;
use crate::record::Record;
use crate::relay::bounds::Bounds;
use crate::relay::deadline::Deadline;
use crate::relay::observers::{Form, Observer, Observers};
use crate::upstream::{AnswerGuard, RecvBody};

/// Read at most so much in one turn, in bytes.
const TURN: usize = 64 * 1024;

/// An answer's body with everything that it needs of the request. Dropped early, it resets the upstream's stream at
/// once. It never says of the request that it is complete: its client's side does.
pub struct Pump {
    reader: Reader,
    sending: Sending,
    bounds: Bounds,
    deadline: Deadline,
    report: Report,
}

/// What a pump is made of.
pub struct PumpParts<'a> {
    /// The upstream's side.
    pub source: RecvBody,
    /// Of the request, where the answer came before its end.
    pub rest: Option<Box<RequestRest>>,
    /// The clocks that run on the upstream; what is of the client's side has no meaning here.
    pub bounds: Bounds,
    /// For these.
    pub deadline: Deadline,
    /// Where the upstream is judged by how its answer ends.
    pub answer_guard: Option<AnswerGuard>,
    /// Of the request, whose client may be gone long before.
    pub record: &'a Rc<Record>,
    /// Given back with the pump.
    pub permit: Permit,
    /// It is a stream of events, whose end its last event tells.
    pub is_event_stream: bool,
    /// What it is, where its usage is to be read.
    pub reads_usage: Option<Form>,
}

impl Pump {
    /// Begins with the body's first byte.
    pub fn new(parts: PumpParts<'_>) -> Self {
        let observers = Observers::of(parts.is_event_stream, parts.reads_usage);
        Self {
            reader: Reader::new(parts.source.into()),
            sending: Sending::new(parts.rest),
            bounds: parts.bounds,
            deadline: parts.deadline,
            report: Report::new(parts.record, parts.permit, parts.answer_guard, observers),
        }
    }

    /// What is there, 64 KiB at most and never nothing; `None` is the clean end. Trailers are left out.
    pub fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Error>>> {
        self.reader.begin_poll();
        self.sending.begin_poll();
        if let Some(error) = self.sending.poll(cx) {
            self.reader.fail(error);
        }
        self.reader.drain(cx, TURN, &mut self.report);
        let chunk = self.reader.take();
        if chunk.is_empty() {
            return self.poll_end(cx);
        }
        self.reader.release(chunk.len());
        self.report.observers.chunk(&chunk);
        Poll::Ready(Some(Ok(chunk)))
    }

    /// When the upstream gave what came last.
    pub fn heard(&self) -> Instant {
        self.reader.heard()
    }

    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Error>>> {
        if self.reader.is_open() {
            let Self { reader, bounds, deadline, report, .. } = self;
            ready!(reader.poll_silence(cx, bounds, deadline, report));
        }
        Poll::Ready(self.reader.take_failure().map(|error| {
            self.report.cut(&error);
            Err(error)
        }))
    }
}

impl Drop for Pump {
    fn drop(&mut self) {
        let whole = matches!(self.reader.state(), State::Ended);
        let done = whole || self.report.observers.is_done();
        if done {
            self.report.ended();
        }
        self.report.observers.end(self.reader.unread());
        self.report.settle(self.reader.unread(), done);
    }
}
