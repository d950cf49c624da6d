//! Takes a request's body from the client.

use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use hyper::body::Frame;

use super::JOIN;
use super::discard::Discard;
use super::pace::Pace;
use super::watch::Watch;
use crate::error::Error;
use crate::record::Record;
use crate::relay::deadline::Deadline;
use crate::relay::head::clean_request_trailers;
use crate::relay::replay::ReplayBuffer;
use crate::relay::request_body::RequestBody;

/// The client's side of a request's body.
pub(super) struct Reader {
    pub(super) body: RequestBody,
    trailers: Option<HeaderMap>,
    /// Behind what was read the client failed.
    failed: Option<Error>,
    /// The client's body was read to its end.
    pub(super) ended: bool,
    /// Of a body whose model was asked for: what is read is looked through.
    watch: Option<Box<Watch>>,
    /// Its sender goes on, and may miss the answer where it is not read to the end.
    lingers: bool,
    discard: Discard,
    pace: Pace,
    /// One timer: on the client's silence, then on how long what nobody takes is read.
    pub(super) deadline: Deadline,
    record: Rc<Record>,
}

impl Reader {
    pub(super) fn new(body: RequestBody, lingers: bool, pace: Pace, record: &Rc<Record>) -> Self {
        Self {
            ended: body.is_end_stream(),
            body,
            trailers: None,
            failed: None,
            watch: None,
            lingers,
            discard: Discard::default(),
            pace,
            deadline: Deadline::default(),
            record: Rc::clone(record),
        }
    }

    /// The same of a body that was read to its end.
    pub(super) fn at_end(&self) -> Self {
        Self::new(RequestBody::Read, self.lingers, self.pace, &self.record)
    }

    pub(super) fn is_ended(&self) -> bool {
        self.ended
    }

    /// What is read from here on is looked through first.
    pub(super) fn watched(&mut self, watch: Watch) {
        self.watch = Some(Box::new(watch));
    }

    /// Whether some of it was read and forgotten already.
    pub(super) fn is_discarded(&self) -> bool {
        !self.discard.is_new()
    }

    /// Reads and forgets; ready when all has come, or its sender is waited for no longer.
    pub(super) fn poll_discard(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Self { discard, body, ended, deadline, .. } = self;
        discard.poll(cx, body, ended, deadline)
    }

    /// Its connection carries nothing else, and may have read ahead of it.
    pub(super) fn is_http1(&self) -> bool {
        matches!(self.body, RequestBody::Http1(_))
    }

    pub(super) fn lingers(&self) -> bool {
        self.lingers
    }

    /// Trailers came, or may come.
    pub(super) fn may_trail(&self) -> bool {
        self.trailers.is_some() || self.body.may_trail()
    }

    pub(super) fn trailers(&self) -> Option<&HeaderMap> {
        self.trailers.as_ref()
    }

    pub(super) fn take_trailers(&mut self) -> Option<HeaderMap> {
        self.trailers.take()
    }

    pub(super) fn record(&self) -> &Record {
        &self.record
    }

    /// The next bytes, small frames joined; empty at the end. Trailers are noted, and spoil what is `kept`.
    pub(super) fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
        kept: &mut ReplayBuffer,
    ) -> Poll<Result<Bytes, Error>> {
        if let Some(error) = self.failed.take() {
            return Poll::Ready(Err(error));
        }
        let frame = match self.body.poll_frame(cx) {
            Poll::Ready(frame) => frame,
            Poll::Pending => return self.poll_silence(cx),
        };
        self.pace.stop(|| (Instant::now(), self.body.hindered()));
        let chunk = self.take(frame, kept)?;
        let joins = !self.ended && chunk.len() < JOIN;
        Poll::Ready(Ok(if joins { self.join(cx, chunk, kept) } else { chunk }))
    }

    /// The next frame's bytes, which may be none, if it is here; `None` also where the body has ended or
    /// failed.
    pub(super) fn next_ready(
        &mut self,
        cx: &mut Context<'_>,
        kept: &mut ReplayBuffer,
    ) -> Option<Bytes> {
        if self.ended || self.failed.is_some() {
            return None;
        }
        let Poll::Ready(frame) = self.body.poll_frame(cx) else { return None };
        self.take(frame, kept).map_err(|error| self.failed = Some(error)).ok()
    }

    /// Adds what else is ready to a small chunk.
    fn join(&mut self, cx: &mut Context<'_>, mut chunk: Bytes, kept: &mut ReplayBuffer) -> Bytes {
        let mut joined = BytesMut::new();
        while chunk.len() + joined.len() < JOIN {
            let Some(more) = self.next_ready(cx, kept) else { break };
            if chunk.is_empty() && joined.is_empty() {
                chunk = more;
                continue;
            }
            if joined.is_empty() {
                joined.reserve(JOIN);
                joined.extend_from_slice(&std::mem::take(&mut chunk));
            }
            joined.extend_from_slice(&more);
        }
        if joined.is_empty() { chunk } else { joined.freeze() }
    }

    /// The bytes of a frame; its trailers, or that it is the end, are noted.
    fn take(
        &mut self,
        frame: Option<Result<Frame<Bytes>, Error>>,
        kept: &mut ReplayBuffer,
    ) -> Result<Bytes, Error> {
        let frame = frame.transpose()?;
        if let Some(watch) = &mut self.watch {
            // Before its end is known, which would go up with what came before it.
            watch.see(frame.as_ref().and_then(Frame::data_ref).map_or(&[], |data| data))?;
        }
        let Some(frame) = frame else {
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
                kept.spoil();
                self.trailers = frame.into_trailers().ok();
                if let Some(trailers) = &mut self.trailers {
                    self.record.withheld(clean_request_trailers(trailers).0);
                }
                self.ended = true;
                Ok(Bytes::new())
            }
        }
    }

    /// Nothing is here: for how long that may be.
    fn poll_silence(&mut self, cx: &mut Context<'_>) -> Poll<Result<Bytes, Error>> {
        let hindered = self.body.hindered();
        let (due, kind) = self.pace.wait(Instant::now, hindered);
        ready!(self.deadline.poll(cx, due));
        Poll::Ready(Err(kind.into()))
    }
}
