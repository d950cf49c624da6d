//! A request's body on its way up: frame by frame as it arrives, no faster than the upstream takes
//! it, the first bytes kept for a replay.

mod pace;

use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use hyper::body::Frame;

use super::deadline::Deadline;
use super::head::clean_request_trailers;
use super::replay::{BodyKept, ReplayBuffer};
use super::request_body::RequestBody;
use crate::admit::{Share, Stock};
use crate::error::{Error, Kind};
use crate::record::Record;
use crate::transport::come_again;
use crate::upstream::SendBody;
use pace::Pace;

/// What is read at most of a body that nobody takes. Chats with long context fit, and it is read as
/// fast as it comes: no copy of it is made.
const DISCARD_MOST: usize = 1024 * 1024;

/// And for how long at most: as long as a slow client needs for it.
const DISCARD_WITHIN: Duration = Duration::from_secs(2);

/// Small parts that are ready together are joined up to about this size, which one TLS record or HTTP/2
/// frame still holds. Frames of a few bytes each would cost the upstream more than their bytes: servers
/// built on `h2` end the connection, and every stream on it, once too many of them lie unread.
const JOIN: usize = 8 * 1024;

/// Parts that leave in one turn of the task. What was kept is many small ones where it was read ahead.
const PARTS: usize = 128;

/// What may have been read ahead of a body that waits, where its connection carries nothing else.
const AHEAD: usize = 16 * 1024;

/// Bytes after which a client that is read ahead may have sent more: half of what a turn takes of a socket.
const MANY: usize = 32 * 1024;

/// What is left to send of a request's body.
pub struct Upload {
    body: RequestBody,
    kept: ReplayBuffer,
    again: std::vec::IntoIter<Bytes>,
    /// Taken from the client, not yet taken by the upstream.
    chunk: Bytes,
    trailers: Option<HeaderMap>,
    /// Behind `chunk` the client failed.
    failed: Option<Error>,
    /// The client's body was read to its end.
    ended: bool,
    /// Its sender finds the connection closed if it is not read; so it is in HTTP/1.1.
    lingers: bool,
    discard_left: usize,
    discard_since: Option<Instant>,
    pace: Pace,
    deadline: Deadline,
    /// When the upstream last took something.
    progress: Instant,
    /// While memory is short nothing more is kept.
    stock: Rc<Stock>,
    /// What is counted of it, where memory has a ceiling.
    share: Option<Rc<Share>>,
    charged: usize,
    record: Rc<Record>,
}

impl Upload {
    /// `keep` bytes are kept for a replay, none while memory is short. A client that is silent inside its
    /// body for longer than `idle`, or on average sends fewer than `least` bytes a second, fails it. One
    /// that `lingers` is let finish sending also where nobody takes it any more.
    pub fn new(
        body: RequestBody,
        lingers: bool,
        (keep, stock): (usize, &Rc<Stock>),
        (idle, least): (Duration, u64),
        now: Instant,
        record: &Rc<Record>,
    ) -> Self {
        Self {
            ended: body.is_end_stream(),
            body,
            kept: ReplayBuffer::new(keep),
            again: Vec::new().into_iter(),
            chunk: Bytes::new(),
            trailers: None,
            failed: None,
            lingers,
            discard_left: DISCARD_MOST,
            discard_since: None,
            pace: Pace::new(idle, least),
            deadline: Deadline::default(),
            progress: now,
            stock: Rc::clone(stock),
            share: None,
            charged: 0,
            record: Rc::clone(record),
        }
    }

    /// The request has no body at all.
    pub fn is_empty(&self) -> bool {
        self.ended && self.chunk.is_empty() && self.again.len() == 0 && self.trailers.is_none()
    }

    /// It may end with trailers.
    pub fn may_trail(&self) -> bool {
        self.trailers.is_some() || self.body.may_trail()
    }

    /// When the upstream last took something of the body.
    pub fn progress(&self) -> Instant {
        self.progress
    }

    /// Whether a replay could send everything again.
    pub fn kept(&self) -> BodyKept {
        self.kept.kept()
    }

    /// Begins again from the first byte; `false` where that is gone.
    pub fn rewind(&mut self) -> bool {
        let Some(again) = self.kept.replay() else { return false };
        self.again = again;
        // It is among what was kept.
        self.chunk = Bytes::new();
        true
    }

    /// Reads what is here of the body although the upstream may not take it yet, as much of it as may be
    /// kept. Waits for nothing; reads nothing while memory is short. True if it was so much that more may be
    /// here, for the task's next turn.
    pub fn read_ahead(&mut self, cx: &mut Context<'_>) -> bool {
        let mut ahead = Vec::new();
        while !self.ended
            && self.failed.is_none()
            && self.kept.kept() != BodyKept::Spoiled
            && self.stock.has_room_for(JOIN)
        {
            let Poll::Ready(frame) = self.body.poll_frame(cx) else { break };
            match self.take(frame) {
                Ok(data) if data.is_empty() => {}
                Ok(data) => {
                    self.kept.push(&data);
                    self.charge(0);
                    ahead.push(data);
                }
                Err(error) => self.failed = Some(error),
            }
        }
        let more = ahead.len() >= PARTS || ahead.iter().map(Bytes::len).sum::<usize>() >= MANY;
        if !ahead.is_empty() {
            let before = std::mem::take(&mut self.again);
            self.again = before.chain(ahead).collect::<Vec<_>>().into_iter();
        }
        more
    }

    /// The same body from its first byte, for somebody who is asked beside the first. References, not
    /// copies. `None` unless all of it was read from the client and is kept.
    pub fn twin(&self) -> Option<Self> {
        let again = self.kept.replay()?;
        self.ended.then(|| Self {
            body: RequestBody::Read,
            kept: self.kept.clone(),
            again,
            chunk: Bytes::new(),
            trailers: None,
            failed: None,
            ended: true,
            deadline: Deadline::default(),
            discard_since: None,
            stock: Rc::clone(&self.stock),
            share: None,
            charged: 0,
            record: Rc::clone(&self.record),
            ..*self
        })
    }

    /// The answer goes to the client: no replay can follow, and what was kept is let go.
    pub fn settle(&mut self) {
        self.kept.spoil();
        self.charge(0);
    }

    /// Takes the first frame from the client if it is there, so that it can leave together with the
    /// head. Waits for nothing.
    ///
    /// # Errors
    /// As [`Upload::poll`]: what is wrong already need not begin upstream.
    pub fn gather(&mut self, cx: &mut Context<'_>) -> Result<(), Error> {
        if self.ended {
            return Ok(());
        }
        self.charge(0);
        match self.poll_next(cx) {
            Poll::Ready(done) => done,
            Poll::Pending => Ok(()),
        }
    }

    /// A client is still sending it, and must be let finish; see [`crate::relay::drive::discard_request_body`].
    pub(super) fn is_coming(&self) -> bool {
        self.lingers && !self.ended
    }

    /// Reads and forgets; ready when all has come, or as much or as long as it may.
    pub(super) fn poll_discard(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.discard_since.is_none() {
            self.forget();
        }
        let since = *self.discard_since.get_or_insert_with(Instant::now);
        while !self.ended && self.discard_left > 0 {
            match self.body.poll_frame(cx) {
                Poll::Pending => return self.deadline.poll(cx, since + DISCARD_WITHIN),
                Poll::Ready(Some(Ok(frame))) => {
                    let len = frame.data_ref().map_or(0, Bytes::len);
                    self.discard_left = self.discard_left.saturating_sub(len);
                    self.ended = self.body.is_end_stream();
                }
                Poll::Ready(None | Some(Err(_))) => self.ended = true,
            }
        }
        Poll::Ready(())
    }

    /// Moves what it can from the client to `sink`; ready when all of it was given, or when the
    /// upstream wants no more (what came of the request is then for the answer to say).
    ///
    /// # Errors
    /// The client failed: silent for too long, too slow, gone, or its body breaks the protocol; or its
    /// trailers are more than the upstream takes.
    pub fn poll(&mut self, cx: &mut Context<'_>, sink: &mut SendBody) -> Poll<Result<(), Error>> {
        for _ in 0..PARTS {
            if matches!(sink, SendBody::Closed) {
                return Poll::Ready(Ok(()));
            }
            // Trailers that were read ahead come after all that was.
            let more = self.trailers.is_none() || self.again.len() > 0;
            if self.chunk.is_empty() && !self.is_empty() && more {
                ready!(self.poll_next(cx))?;
            }
            if self.chunk.is_empty()
                && let Some(trailers) = &self.trailers
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
                    self.charge(self.chunk.len());
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
        let Some(share) = &self.share else { return Poll::Pending };
        if share.is_ended() {
            return Poll::Ready(Kind::MemoryShort.into());
        }
        if share.held() > self.kept.bytes() + self.ahead() {
            share.wait(self.progress, cx.waker());
        } else {
            share.go_on();
        }
        Poll::Pending
    }

    /// [`Upload::poll_ended`] is ready.
    pub fn is_ended(&self) -> bool {
        self.share.as_ref().is_some_and(|share| share.is_ended())
    }

    /// Lets go of everything that no upstream gets any more.
    fn forget(&mut self) {
        self.kept.spoil();
        (self.chunk, self.again) = (Bytes::new(), Vec::new().into_iter());
        self.charge(0);
    }

    /// Counts what is kept, and so much besides.
    fn charge(&mut self, besides: usize) {
        let now = self.kept.bytes() + self.ahead() + besides;
        if now == self.charged {
            return;
        }
        let before = std::mem::replace(&mut self.charged, now);
        if let Some(share) = self.share() {
            share.set(before, now);
        }
    }

    /// What its connection may read ahead of it.
    fn ahead(&self) -> usize {
        if self.is_coming() { AHEAD } else { 0 }
    }

    /// Made when first needed: most requests are over before.
    fn share(&mut self) -> Option<&Rc<Share>> {
        if self.share.is_none() {
            self.share = self.stock.share();
        }
        self.share.as_ref()
    }

    fn poll_give(&mut self, cx: &mut Context<'_>, sink: &mut SendBody) -> Poll<Result<(), ()>> {
        if self.chunk.is_empty() {
            return Poll::Ready(match self.trailers.take() {
                Some(trailers) => sink.trailers(trailers).map_err(drop),
                None if self.is_empty() => sink.send(Bytes::new(), true, None).map_err(drop),
                None => Ok(()),
            });
        }
        let room = ready!(sink.poll_ready(cx, self.chunk.len())).map_err(drop)?;
        let part = self.chunk.split_to(room);
        self.record.request_bytes(part.len());
        self.progress = Instant::now();
        self.charge(0);
        let last = self.is_empty();
        Poll::Ready(sink.send(part, last, self.share()).map_err(drop))
    }

    /// Puts the next frame into `chunk` (or `trailers`, or marks the end).
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        if !self.chunk.is_empty() {
            return Poll::Ready(Ok(()));
        }
        if let Some(chunk) = self.again.next() {
            self.chunk = chunk;
            return Poll::Ready(Ok(()));
        }
        if let Some(error) = self.failed.take() {
            return Poll::Ready(Err(error));
        }
        let frame = match self.body.poll_frame(cx) {
            Poll::Ready(frame) => frame,
            Poll::Pending => return self.poll_silence(cx),
        };
        self.pace.stop(|| (Instant::now(), self.body.hindered()));
        self.chunk = self.take(frame)?;
        if !self.ended && self.chunk.len() < JOIN {
            self.join(cx);
        }
        if self.stock.has_room_for(self.chunk.len()) {
            self.kept.push(&self.chunk);
        } else {
            self.kept.spoil();
        }
        Poll::Ready(Ok(()))
    }

    /// Adds what else is ready to a small chunk.
    fn join(&mut self, cx: &mut Context<'_>) {
        let mut joined = BytesMut::new();
        while !self.ended && self.chunk.len() + joined.len() < JOIN {
            let Poll::Ready(frame) = self.body.poll_frame(cx) else { break };
            match self.take(frame) {
                Ok(more) if self.chunk.is_empty() && joined.is_empty() => self.chunk = more,
                Ok(more) => {
                    if joined.is_empty() {
                        joined.reserve(JOIN);
                        joined.extend_from_slice(&std::mem::take(&mut self.chunk));
                    }
                    joined.extend_from_slice(&more);
                }
                Err(error) => {
                    self.failed = Some(error);
                    break;
                }
            }
        }
        if !joined.is_empty() {
            self.chunk = joined.freeze();
        }
    }

    /// The bytes of a frame; its trailers, or that it is the end, are noted.
    fn take(&mut self, frame: Option<Result<Frame<Bytes>, Error>>) -> Result<Bytes, Error> {
        let Some(frame) = frame.transpose()? else {
            self.ended = true;
            return Ok(Bytes::new());
        };
        match frame.into_data() {
            Ok(data) => {
                self.ended = self.body.is_end_stream();
                self.pace.earn(data.len());
                Ok(data)
            }
            Err(frame) => {
                self.kept.spoil();
                self.trailers = frame.into_trailers().ok();
                if let Some(trailers) = &mut self.trailers {
                    self.record.withheld(clean_request_trailers(trailers).0);
                }
                self.ended = true;
                Ok(Bytes::new())
            }
        }
    }

    fn poll_silence(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let hindered = self.body.hindered();
        let (due, kind) = self.pace.wait(Instant::now, hindered);
        ready!(self.deadline.poll(cx, due));
        Poll::Ready(Err(kind.into()))
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        if let Some(share) = &self.share {
            share.go_on();
        }
    }
}
