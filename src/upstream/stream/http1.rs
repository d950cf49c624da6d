//! HTTP/1.1 toward an upstream: one request at a time on a kept-alive connection.

use std::cell::{Cell, RefCell};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use hyper::body::{Body, Frame, Incoming};
use hyper::client::conn::TrySendError;
use hyper::client::conn::http1::{Builder, Connection, SendRequest};
use hyper_util::rt::TokioIo;

use super::head_size::HeadLimit;
use super::interim::Interims;
use super::read_after_reset::ReadAfterReset;
use crate::error::Cause;
use crate::upstream::socket::UpstreamSocket;

/// What hyper reads at once, at most (400 KiB unless set): it decodes a whole read in one turn of the task,
/// where what comes is no part of a body.
pub(super) const BUFFER: usize = 64 * 1024;

/// The lines of a head that it reads without memory of their own.
const USUAL_LINES: usize = 100;

/// An answer's head, to come. The one box that HTTP/1.1 costs a request: hyper's future has no name.
pub(in crate::upstream) type ResponseFuture =
    Pin<Box<dyn Future<Output = Result<Response<Incoming>, TrySendError<Request<SlotBody>>>>>>;

/// Where one chunk of a request's body passes from the relay to hyper's connection.
#[derive(Debug, Default)]
struct Slot {
    chunk: Option<Bytes>,
    trailers: Option<HeaderMap>,
    ended: bool,
    /// The writer was dropped before the end: the request must not look complete.
    broken: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

/// The relay's end of the slot. Dropped before the end, it breaks the request.
#[derive(Debug)]
pub struct SlotWriter(Rc<RefCell<Slot>>);

/// hyper's end of the slot.
#[derive(Debug)]
pub struct SlotBody(Rc<RefCell<Slot>>);

fn slot(has_body: bool) -> (Option<SlotWriter>, SlotBody) {
    let slot = Rc::new(RefCell::new(Slot { ended: !has_body, ..Slot::default() }));
    (has_body.then(|| SlotWriter(Rc::clone(&slot))), SlotBody(slot))
}

impl SlotWriter {
    pub(in crate::upstream) fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut slot = self.0.borrow_mut();
        if slot.chunk.is_none() {
            return Poll::Ready(());
        }
        slot.writer = Some(cx.waker().clone());
        Poll::Pending
    }

    pub(in crate::upstream) fn put(&self, chunk: Bytes, end: bool) {
        let mut slot = self.0.borrow_mut();
        if !chunk.is_empty() {
            slot.chunk = Some(chunk);
        }
        slot.ended |= end;
        wake(slot.reader.take());
    }

    pub(in crate::upstream) fn trailers(&self, trailers: HeaderMap) {
        let mut slot = self.0.borrow_mut();
        slot.trailers = Some(trailers);
        slot.ended = true;
        wake(slot.reader.take());
    }
}

impl Drop for SlotWriter {
    fn drop(&mut self) {
        let mut slot = self.0.borrow_mut();
        if !slot.ended {
            slot.broken = true;
            wake(slot.reader.take());
        }
    }
}

fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}

/// The request's body ended before it was complete; hyper closes the connection on it.
#[derive(Debug)]
pub struct BodyBroken;

impl std::fmt::Display for BodyBroken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the request body was cut off")
    }
}

impl std::error::Error for BodyBroken {}

impl Body for SlotBody {
    type Data = Bytes;
    type Error = BodyBroken;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyBroken>>> {
        let mut slot = self.0.borrow_mut();
        if let Some(chunk) = slot.chunk.take() {
            wake(slot.writer.take());
            return Poll::Ready(Some(Ok(Frame::data(chunk))));
        }
        if let Some(trailers) = slot.trailers.take() {
            return Poll::Ready(Some(Ok(Frame::trailers(trailers))));
        }
        if slot.broken {
            return Poll::Ready(Some(Err(BodyBroken)));
        }
        if slot.ended {
            return Poll::Ready(None);
        }
        slot.reader = Some(cx.waker().clone());
        Poll::Pending
    }

    fn is_end_stream(&self) -> bool {
        let slot = self.0.borrow();
        slot.ended && slot.chunk.is_none() && slot.trailers.is_none()
    }
}

/// Our transport as hyper takes it.
pub(in crate::upstream) type Io = TokioIo<ReadAfterReset<UpstreamSocket>>;

/// A connection as hyper drives it, polled by one of two tasks: its own, or, while the body of an
/// answer is read, the reader's. hyper gives on one frame a poll, so that a reader who polls it finds
/// frames that are ready together, and is woken by the socket itself.
pub(in crate::upstream) struct SharedIo {
    io: RefCell<Option<Connection<Io, SlotBody>>>,
    /// The connection's own task, to be woken when it is to poll again.
    driver: RefCell<Option<Waker>>,
    in_hand: Cell<bool>,
    interims: Rc<Interims>,
}

impl SharedIo {
    pub(in crate::upstream) fn new(
        io: Connection<Io, SlotBody>,
        interims: Rc<Interims>,
    ) -> Rc<Self> {
        Rc::new(Self {
            io: RefCell::new(Some(io)),
            driver: RefCell::default(),
            in_hand: Cell::new(false),
            interims,
        })
    }

    /// The reader polls from now on, until [`SharedIo::give_back`].
    pub(in crate::upstream) fn take_in_hand(&self) {
        self.in_hand.set(true);
    }

    /// The connection's own task polls again. To be called when the reader is done or dropped, or
    /// nobody would be woken by the socket any more.
    pub(in crate::upstream) fn give_back(&self) {
        if self.in_hand.replace(false)
            && let Some(driver) = &*self.driver.borrow()
        {
            driver.wake_by_ref();
        }
    }

    /// Polls for the reader; without effect where the connection is not in its hand.
    pub(in crate::upstream) fn poll_in_hand(&self, cx: &mut Context<'_>) {
        if self.in_hand.get() && self.poll(cx).is_ready() {
            self.give_back();
        }
    }

    fn poll(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut io = self.io.borrow_mut();
        let ended = io.as_mut().is_none_or(|io| Pin::new(io).poll(cx).is_ready());
        if !ended {
            return Poll::Pending;
        }
        *io = None;
        Poll::Ready(())
    }

    pub(in crate::upstream) fn poll_driver(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut driver = self.driver.borrow_mut();
        if !driver.as_ref().is_some_and(|known| known.will_wake(cx.waker())) {
            *driver = Some(cx.waker().clone());
        }
        drop(driver);
        if self.in_hand.get() { Poll::Pending } else { self.poll(cx) }
    }
}

/// The handshake with our limits. hyper's own bound on lines is met without memory of its own.
pub(in crate::upstream) fn builder(heads: HeadLimit) -> Builder {
    let mut builder = Builder::new();
    builder.max_header_size(heads.bytes).max_buf_size(BUFFER.max(heads.bytes));
    if heads.lines != USUAL_LINES {
        builder.max_headers(heads.lines);
    }
    builder
}

/// What hyper says of why a connection failed.
pub(in crate::upstream) fn cause(error: &hyper::Error) -> Cause {
    let source = std::error::Error::source(error);
    let io = source.and_then(|source| source.downcast_ref::<std::io::Error>());
    match io {
        _ if error.is_parse_too_large() => Cause::HeadTooLarge,
        _ if error.is_parse_status() || error.is_parse() => Cause::InvalidHead,
        _ if error.is_incomplete_message() => Cause::Closed,
        // Of a body: hyper says it in words only.
        Some(io) if io.kind() == std::io::ErrorKind::UnexpectedEof => Cause::Truncated,
        Some(io) if io.kind() == std::io::ErrorKind::InvalidInput => Cause::InvalidBody,
        Some(io) => Cause::of_closed(io),
        None => Cause::Closed,
    }
}

/// Puts a request on an idle connection; the writer is there where a body is to follow.
pub(in crate::upstream) fn open(
    sender: &RefCell<SendRequest<SlotBody>>,
    io: &SharedIo,
    head: Request<()>,
    has_body: bool,
) -> (Option<SlotWriter>, ResponseFuture) {
    io.interims.begin();
    let (writer, body) = slot(has_body);
    let response = sender.borrow_mut().try_send_request(head.map(|()| body));
    (writer, Box::pin(response))
}
