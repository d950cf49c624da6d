//! Takes an answer's frames from the upstream.

use std::task::{Context, Poll, ready};
use std::time::Instant;

use bytes::{Buf, Bytes, BytesMut};
use http::HeaderMap;

use super::report::Report;
use super::source::Source;
use crate::error::Error;
use crate::relay::bounds::Bounds;
use crate::relay::deadline::Deadline;
use crate::relay::head::clean_trailers;
use crate::upstream::Chunk;

/// Small frames that are ready together are joined up to about this size, which one TLS record or
/// HTTP/2 frame still holds (RFC 9113, section 4.2). A frame this large travels alone, uncopied.
const JOIN: usize = 8 * 1024;

/// What some write before a text. At its front it is no part of it, and anywhere else it is.
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// What became of the upstream's side.
pub(super) enum State {
    Open,
    Ended,
    /// The body failed; the client is told once what came before has left.
    Failed(Error),
    /// The failure was told.
    Told,
}

/// The upstream's side of an answer's body.
pub(super) struct Reader {
    source: Source,
    /// What was read and is not handed over yet. The stream's window is closed by as much.
    buffered: BytesMut,
    trailers: Option<HeaderMap>,
    state: State,
    heard: Instant,
    /// Something of the body came.
    begun: bool,
    /// The client got a comment of ours before that.
    is_preceded: bool,
    /// In this poll of the client's task the source had nothing more: its waker is registered, and
    /// asking again would only cost.
    registered: bool,
}

impl Reader {
    pub(super) fn new(source: Source) -> Self {
        Self {
            state: if source.is_end() { State::Ended } else { State::Open },
            heard: source.read_at(),
            source,
            buffered: BytesMut::new(),
            trailers: None,
            begun: false,
            is_preceded: false,
            registered: false,
        }
    }

    pub(super) fn begin_poll(&mut self) {
        self.registered = false;
    }

    pub(super) fn state(&self) -> &State {
        &self.state
    }

    /// Its client may leave when it likes.
    pub(super) fn is_endless(&self) -> bool {
        self.source.is_endless()
    }

    pub(super) fn is_open(&self) -> bool {
        matches!(self.state, State::Open)
    }

    /// Nothing more will come.
    pub(super) fn is_end(&self) -> bool {
        matches!(self.state, State::Ended) && self.buffered.is_empty() && self.trailers.is_none()
    }

    /// When the upstream was last heard.
    pub(super) fn heard(&self) -> Instant {
        self.heard
    }

    /// The client gets something of ours before what comes next.
    pub(super) fn precede(&mut self) {
        self.is_preceded = !self.begun;
    }

    /// What came and was not handed over.
    pub(super) fn unread(&self) -> &[u8] {
        &self.buffered
    }

    /// Bytes of memory that are held for that.
    pub(super) fn room(&self) -> usize {
        if self.buffered.is_empty() { 0 } else { self.buffered.capacity() }
    }

    /// The client's side has taken so much.
    pub(super) fn release(&mut self, bytes: usize) {
        self.source.release(bytes);
    }

    pub(super) fn take_trailers(&mut self) -> Option<HeaderMap> {
        self.trailers.take()
    }

    /// What [`Reader::drain`] has read.
    pub(super) fn take(&mut self) -> Bytes {
        self.buffered.split().freeze()
    }

    /// It failed, unless it has ended already.
    pub(super) fn fail(&mut self, error: Error) {
        if self.is_open() {
            self.state = State::Failed(error);
        }
    }

    /// Ready once it has been silent for longer than `bounds` allow: it has failed by then, and that was told to those
    /// who keep account. To be asked while it is open.
    pub(super) fn poll_silence(
        &mut self,
        cx: &mut Context<'_>,
        bounds: &Bounds,
        deadline: &mut Deadline,
        report: &mut Report,
    ) -> Poll<()> {
        let (due, clock, kind) = bounds.clock(self.heard, self.begun);
        ready!(deadline.poll(cx, due));
        if !report.observers.is_done() {
            report.record.timed_out(clock);
            report.blame_upstream();
        }
        self.fail(kind.into());
        Poll::Ready(())
    }

    /// How it failed, for whoever tells it.
    pub(super) fn take_failure(&mut self) -> Option<Error> {
        if !matches!(self.state, State::Failed(_)) {
            return None;
        }
        match std::mem::replace(&mut self.state, State::Told) {
            State::Failed(error) => Some(error),
            _ => None, // it was a failure
        }
    }

    /// What the client's side is given next; empty where there is nothing.
    pub(super) fn next(&mut self, cx: &mut Context<'_>, report: &mut Report) -> Bytes {
        if self.buffered.is_empty() {
            return self.gather(cx, report);
        }
        // That these bytes are late is the client's doing, and none of what we add.
        if self.source.is_timed() {
            report.record.handed(Instant::now());
        }
        self.buffered.split().freeze()
    }

    /// Reads what is ready: a large frame alone, small ones joined.
    fn gather(&mut self, cx: &mut Context<'_>, report: &mut Report) -> Bytes {
        let mut first = Bytes::new();
        while self.is_open() && first.len() + self.buffered.len() < JOIN {
            let Some(data) = self.read(cx, report, &first) else { break };
            if first.is_empty() && self.buffered.is_empty() {
                if self.source.is_timed() {
                    report.record.handed(self.heard);
                }
                first = data;
            } else {
                if self.buffered.is_empty() {
                    self.buffered.reserve(JOIN);
                    self.buffered.extend_from_slice(&std::mem::take(&mut first));
                }
                self.buffered.extend_from_slice(&data);
            }
        }
        if self.is_open() && !self.registered && self.source.is_end() {
            // So that the end can leave with the last bytes. Where the source had nothing more, or
            // said that it ended, there is no need to ask.
            self.state = State::Ended;
        }
        if self.buffered.is_empty() { first } else { self.buffered.split().freeze() }
    }

    /// Reads all that is ready into the buffer, up to `most` bytes; the window stays closed by as much.
    pub(super) fn drain(&mut self, cx: &mut Context<'_>, most: usize, report: &mut Report) {
        while self.is_open() && self.buffered.len() < most {
            let Some(data) = self.read(cx, report, &[]) else { return };
            self.buffered.extend_from_slice(&data);
        }
    }

    /// One frame's bytes if one is ready; ends and failures go into `state`. `before` was read before it, and
    /// is not buffered.
    fn read(&mut self, cx: &mut Context<'_>, report: &mut Report, before: &[u8]) -> Option<Bytes> {
        while !self.registered {
            match self.source.poll_chunk(cx) {
                Poll::Pending => self.registered = true,
                Poll::Ready(Some(Ok(Chunk::Data(mut data)))) => {
                    self.heard = self.source.read_at();
                    if self.source.is_upstream() {
                        report.frame(self.heard, data.len());
                    }
                    if !data.is_empty() {
                        if !std::mem::replace(&mut self.begun, true) {
                            report.begun(self.heard);
                            if self.is_preceded && data.starts_with(BYTE_ORDER_MARK) {
                                data.advance(BYTE_ORDER_MARK.len());
                                self.source.release(BYTE_ORDER_MARK.len());
                                if data.is_empty() {
                                    continue;
                                }
                            }
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
                    let said = report.observers.is_done_with([before, &self.buffered]);
                    if !said && self.source.is_news(&broken) {
                        report.blame_upstream();
                    }
                    self.state = State::Failed(self.source.cut(broken));
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
}
