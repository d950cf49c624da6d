//! A request's body on its way up: frame by frame as it arrives, no faster than the upstream takes
//! it, the first bytes kept for a replay.
//!
//! `reader` takes frames from the client, as slowly as `pace` allows; `kept` is what can be sent again, `peek` looks
//! into what comes first, `watch` into what follows, and `charge` counts what is held. What is sent to the upstream is here, and `whole` reads what is for us.

mod charge;
mod discard;
mod kept;
mod pace;
mod peek;
mod reader;
mod watch;
mod whole;

use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::replay::ReplayBuffer;
use super::request_body::RequestBody;
use crate::admit::Stock;
use crate::error::{Error, Kind};
use crate::record::Record;
use crate::transport::come_again;
use crate::upstream::SendBody;
use charge::Charge;
use pace::Pace;
use reader::Reader;

pub use peek::Peek;

/// Small parts that are ready together are joined up to about this size, which one TLS record or HTTP/2
/// frame still holds. Frames of a few bytes each would cost the upstream more than their bytes: servers
/// built on `h2` end the connection, and every stream on it, once too many of them lie unread.
const JOIN: usize = 8 * 1024;

/// Parts that leave in one turn of the task. What was kept is many small ones where it was read ahead.
const PARTS: usize = 128;

/// What may have been read ahead of a body that waits, where its connection carries nothing else.
const AHEAD: usize = 16 * 1024;

/// What is left to send of a request's body.
pub struct Upload {
    charge: Charge,
    reader: Reader,
    kept: ReplayBuffer,
    again: std::vec::IntoIter<Bytes>,
    /// Taken from the client, not yet taken by the upstream.
    chunk: Bytes,
    /// When the upstream last took something.
    progress: Instant,
}

/// What a request's body may take.
#[derive(Debug, Clone, Copy)]
pub struct UploadLimits {
    /// Bytes that are kept for a replay; none while memory is short.
    pub replay: usize,
    /// A client that is silent inside its body for longer fails it.
    pub idle: Duration,
    /// Bytes a second; one that on average sends fewer fails it too. 0 where silence alone counts.
    pub rate: u64,
}

impl Upload {
    /// Of a request that arrived at `now`. One that `lingers` is let finish sending also where nobody takes
    /// it any more. `stock` counts what is kept.
    pub fn new(
        body: RequestBody,
        lingers: bool,
        limits: UploadLimits,
        stock: &Rc<Stock>,
        now: Instant,
        record: &Rc<Record>,
    ) -> Self {
        let pace = Pace::new(limits.idle, limits.rate);
        Self {
            charge: Charge::new(stock),
            reader: Reader::new(body, lingers, pace, record),
            kept: ReplayBuffer::new(limits.replay),
            again: Vec::new().into_iter(),
            chunk: Bytes::new(),
            progress: now,
        }
    }

    /// The request has no body at all.
    pub fn is_empty(&self) -> bool {
        self.reader.is_ended()
            && self.chunk.is_empty()
            && self.again.len() == 0
            && self.reader.trailers().is_none()
    }

    /// It may end with trailers.
    pub fn may_trail(&self) -> bool {
        self.reader.may_trail()
    }

    /// When the upstream last took something of the body.
    pub fn progress(&self) -> Instant {
        self.progress
    }

    /// Takes the first frame from the client if it is there, so that it can leave together with the
    /// head. Waits for nothing.
    ///
    /// # Errors
    /// As [`Upload::poll`]: what is wrong already need not begin upstream.
    pub fn gather(&mut self, cx: &mut Context<'_>) -> Result<(), Error> {
        if self.reader.is_ended() {
            return Ok(());
        }
        self.charge_with(0);
        match self.poll_next(cx) {
            Poll::Ready(done) => done,
            Poll::Pending => Ok(()),
        }
    }

    /// Moves what it can from the client to `sink`; ready when all of it was given, or when the
    /// upstream wants no more (what came of the request is then for the answer to say).
    ///
    /// # Errors
    /// The client failed: silent for too long, too slow, gone, or its body breaks the protocol; or its
    /// trailers are more than the upstream takes.
    pub fn poll(&mut self, cx: &mut Context<'_>, sink: &mut SendBody) -> Poll<Result<(), Error>> {
        let polled = self.poll_parts(cx, sink);
        if polled.is_pending() {
            // What was given leaves though more is to come.
            let _rest = sink.poll_flush(cx);
        }
        polled
    }

    fn poll_parts(&mut self, cx: &mut Context<'_>, sink: &mut SendBody) -> Poll<Result<(), Error>> {
        for _ in 0..PARTS {
            if sink.is_ended() {
                return sink.poll_flush(cx).map(Ok);
            }
            // Trailers that were read ahead come after all that was.
            let more = self.reader.trailers().is_none() || self.again.len() > 0;
            if self.chunk.is_empty() && !self.is_empty() && more {
                ready!(self.poll_next(cx))?;
            }
            if self.chunk.is_empty()
                && let Some(trailers) = self.reader.trailers()
                && !sink.takes(trailers)
            {
                return Poll::Ready(Err(Kind::TrailersTooLarge.into()));
            }
            match self.poll_give(cx, sink) {
                Poll::Ready(given) => {
                    if given.is_err() {
                        *sink = SendBody::Closed;
                    }
                }
                Poll::Pending => {
                    self.charge_with(self.chunk.len());
                    return Poll::Pending;
                }
            }
        }
        come_again(cx);
        Poll::Pending
    }

    /// To be asked after each poll of the task that uploads: ready when what is held for an upstream that
    /// does not take it is wanted for others. That holds also where all was given to the connection.
    pub fn poll_ended(&mut self, cx: &Context<'_>) -> Poll<Error> {
        self.charge.poll_ended(cx, || self.kept.bytes() + self.ahead(), self.progress)
    }

    /// [`Upload::poll_ended`] is ready.
    pub fn is_ended(&self) -> bool {
        self.charge.is_ended()
    }

    /// Counts what is kept, and so much besides.
    fn charge_with(&mut self, besides: usize) {
        self.charge.set(self.kept.bytes() + self.ahead() + besides);
    }

    /// What its connection may read ahead of it.
    fn ahead(&self) -> usize {
        if self.is_coming() && self.reader.is_http1() { AHEAD } else { 0 }
    }

    fn poll_give(&mut self, cx: &mut Context<'_>, sink: &mut SendBody) -> Poll<Result<(), ()>> {
        if self.chunk.is_empty() {
            return Poll::Ready(match self.reader.take_trailers() {
                Some(trailers) => sink.trailers(trailers).map_err(drop),
                None if self.is_empty() => sink.send(Bytes::new(), true, None).map_err(drop),
                None => Ok(()),
            });
        }
        let room = ready!(sink.poll_ready(cx, self.chunk.len())).map_err(drop)?;
        let part = self.chunk.split_to(room);
        self.reader.record().request_bytes(part.len());
        self.progress = Instant::now();
        self.charge_with(0);
        let last = self.is_empty();
        Poll::Ready(sink.send(part, last, self.charge.share()).map_err(drop))
    }

    /// Puts the next frame into `chunk`, unless there is one or the body ends.
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        if !self.chunk.is_empty() {
            return Poll::Ready(Ok(()));
        }
        if let Some(chunk) = self.again.next() {
            self.kept.let_go(&chunk);
            self.chunk = chunk;
            return Poll::Ready(Ok(()));
        }
        self.chunk = ready!(self.reader.poll_next(cx, &mut self.kept))?;
        if self.charge.has_room_for(self.chunk.len()) {
            self.kept.push(&self.chunk);
        } else {
            self.kept.spoil();
        }
        Poll::Ready(Ok(()))
    }

    /// A client is still sending it, and must be let finish; see [`crate::relay::drive::discard_request_body`].
    pub(in crate::relay) fn is_coming(&self) -> bool {
        self.reader.lingers() && !self.reader.is_ended()
    }

    /// Reads and forgets; ready when all has come, or its sender is waited for no longer. A stream beside others
    /// is not kept for that while memory is short: each costs some.
    pub(in crate::relay) fn poll_discard(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if !self.reader.is_http1() && self.charge.is_short() {
            return Poll::Ready(());
        }
        if !self.reader.is_discarded() {
            self.forget();
        }
        self.reader.poll_discard(cx)
    }

    /// Lets go of everything that no upstream gets any more.
    fn forget(&mut self) {
        self.kept.spoil();
        (self.chunk, self.again) = (Bytes::new(), Vec::new().into_iter());
        self.charge_with(0);
    }
}

#[cfg(test)]
mod tests;
