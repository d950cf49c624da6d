//! An answer's body on its way down.
//!
//! What is read is given on in the same poll; small frames that are ready together leave as one
//! chunk, and nothing waits for a next one. While the client does not take, frames are still drained
//! from the connection that many streams share, into a buffer bounded by this stream's window: its
//! window is opened again only as the client takes. So a slow client costs its window and nobody
//! else anything.
//!
//! `reader` takes frames from the upstream, `delivery` hands chunks to the client's side and watches
//! whether it takes them, `rest` sends what is left of the request meanwhile, `report` tells everybody who
//! keeps account of the answer, `heartbeat` has comments for a client that waits, and `ending` is how all of that
//! ends.

mod delivery;
mod ending;
mod heartbeat;
mod pump;
mod reader;
mod report;
mod rest;
mod source;

pub use pump::{Pump, PumpParts};
pub(crate) use report::outcome;
pub use rest::RequestRest;
pub use source::{OwnSource, Source};

use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::body::Frame;

use super::bounds::Bounds;
use super::deadline::Deadline;
use super::in_flight::TrackedBytes;
use super::observers::{Form, Observer, Observers};
use crate::admit::{Permit, Stock};
use crate::error::{Error, Kind};
use crate::record::Record;
use crate::transport::Wire;
use crate::upstream::AnswerGuard;
use delivery::Delivery;
use heartbeat::Heartbeat;
use reader::Reader;
use report::Report;
use rest::Sending;

/// What the writer of an answer is given when it asks for more.
type Polled = Poll<Option<Result<Frame<TrackedBytes>, Error>>>;

/// An answer's body with everything that lives as long as it does. Dropped early, it resets the
/// upstream's stream at once and closes the record.
pub struct Download {
    reader: Reader,
    sending: Sending,
    delivery: Delivery,
    bounds: Bounds,
    /// One timer: on the upstream while the client keeps up, on the client while it does not.
    deadline: Deadline,
    /// Boxed: few routes have one.
    heartbeat: Option<Box<Heartbeat>>,
    report: Report,
}

/// What an answer's body is joined with.
pub struct DownloadParts<'a> {
    /// Where it comes from.
    pub source: Source,
    /// Of the request, where the answer came before its end.
    pub rest: Option<Box<RequestRest>>,
    /// What the body may take.
    pub bounds: Bounds,
    /// For these: armed already where the head was waited for.
    pub deadline: Deadline,
    /// Where the upstream is judged by how its answer ends.
    pub answer_guard: Option<AnswerGuard>,
    /// The client's side.
    pub wire: &'a Rc<Wire>,
    /// Of the request.
    pub record: &'a Rc<Record>,
    /// Given back with the body.
    pub permit: Permit,
    /// Counts what is held for the client.
    pub stock: &'a Rc<Stock>,
    /// It is a stream of events, whose end its last event tells.
    pub is_event_stream: bool,
    /// What it is, where its usage is to be read.
    pub reads_usage: Option<Form>,
    /// Of such a stream whose bytes are its text, and whose client may get comments of ours: how long it is
    /// silent before.
    pub heartbeat: Option<Duration>,
}

impl Download {
    /// Joins an answer's body with the client's side. Its head goes over to the writer with it.
    pub fn new(parts: DownloadParts<'_>) -> Self {
        let reader = Reader::new(parts.source);
        let mut delivery = Delivery::new(parts.wire, parts.stock, &parts.bounds);
        let observers = Observers::of(parts.is_event_stream, parts.reads_usage);
        let report = Report::new(parts.record, parts.permit, parts.answer_guard, observers);
        report.record.handed(reader.heard());
        delivery.head(reader.is_end(), &report.record);
        let (bounds, deadline) = (parts.bounds, parts.deadline);
        let heartbeat = parts.heartbeat.map(|every| Box::new(Heartbeat::new(every)));
        let sending = Sending::new(parts.rest);
        Self { reader, sending, delivery, bounds, deadline, heartbeat, report }
    }

    /// Nothing more will come.
    pub(super) fn is_end(&self) -> bool {
        self.reader.is_end()
    }

    /// What the writer asks for: the next frame, as soon as there is one.
    pub(super) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Polled {
        self.poll_sending(cx);
        let chunk = self.reader.next(cx, &mut self.report);
        if chunk.is_empty() {
            let polled = self.poll_end(cx);
            // A failure that waits for the client to take what came before is the client's to end.
            self.delivery.asked(polled.is_pending() && self.reader.is_open());
            return polled;
        }
        self.reader.release(chunk.len());
        self.report.observers.chunk(&chunk);
        let chunk = self.delivery.chunk(chunk, self.reader.is_end(), &self.report.record);
        Poll::Ready(Some(Ok(Frame::data(chunk))))
    }

    /// A poll of the client's task begins: whether it will ask is not known yet.
    pub(super) fn begin_poll(&mut self) {
        self.reader.begin_poll();
        self.sending.begin_poll();
        self.delivery.begin_poll();
    }

    /// Called after each poll of the client's task: where the writer did not ask for more, keeps the
    /// connection that others share drained. Ready when the client was given up.
    pub(super) fn drive(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.delivery.is_hungry() {
            return self.delivery.poll_writer(cx, self.reader.heard(), &self.report);
        }
        self.poll_sending(cx);
        if !self.delivery.is_ended() {
            self.reader.drain(cx, self.bounds.buffered, &mut self.report);
        }
        let since = self.delivery.fall_behind();
        self.delivery.charge(self.reader.room());
        if self.delivery.poll_ended(cx, since, &self.report).is_ready() {
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
        self.report.give_up(kind);
        Poll::Ready(())
    }

    fn poll_sending(&mut self, cx: &mut Context<'_>) {
        if let Some(error) = self.sending.poll(cx) {
            self.reader.fail(error);
        }
    }
}
