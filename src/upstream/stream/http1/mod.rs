//! HTTP/1.1 toward an upstream: one request at a time on a kept-alive connection.
//!
//! There is no task, no channel and no wake for a request: whoever holds the lease polls, and each poll writes what
//! there is to write and reads what there is to read, at the socket itself. `sink` is the half that takes the request's
//! body, `answer` the half that gives the answer, `idle` what happens between two requests.

mod answer;
mod idle;
mod sink;

use std::cell::RefCell;
use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Instant;

use bytes::BytesMut;
use http::{Method, Request};
use tokio::io::{AsyncRead, ReadBuf};

use super::Broken;
use super::parcel::Parcel;
use crate::proto::http1::{Chunked, Out, RequestCoding, Search, encode_request};
use crate::transport::Wire;
use crate::upstream::socket::UpstreamSocket;

pub(in crate::upstream) use answer::{Event, ResponseBody, ResponseFuture};
pub(in crate::upstream) use idle::watch;
pub(in crate::upstream) use sink::Sink;

/// Bytes that one read asks for: a token comes in few.
const READ: usize = 16 * 1024;

/// A connection, shared by the pool that keeps it and the two halves of the request that is on it. Dropped, it
/// closes the socket.
pub(in crate::upstream) struct Link {
    exchange: RefCell<Exchange>,
    wire: Rc<Wire>,
    /// The task that waits for an end while nobody asks.
    watcher: RefCell<Option<Waker>>,
}

/// A socket and where the request on it stands.
struct Exchange {
    /// `None` once it is closed.
    socket: Option<UpstreamSocket>,
    /// Read, and part of nothing yet.
    ahead: BytesMut,
    out: Out<Parcel>,
    /// Something was given to the socket that has not left for the kernel.
    unflushed: bool,
    sending: Sending,
    receiving: Receiving,
    /// Both sides want another request after this one.
    persists: bool,
    /// When the socket last took something before this request.
    began: Instant,
    /// Writing failed, and reading will not tell of it.
    failed: Option<Broken>,
}

/// What is left of the request.
enum Sending {
    /// No request is under way, or all of it was given to `out`.
    Done,
    /// So many bytes of its body, and to hear that this is the end: whoever sends it may not have said so yet.
    Length(u64),
    /// Chunks.
    Chunked,
    /// The last chunk, for which `out` has no room yet.
    LastChunk,
    /// The rest will not come: nothing more may be sent that would look like its end.
    Broken,
}

/// What is left of the answer.
enum Receiving {
    /// No request is under way.
    Nothing,
    Head {
        search: Search,
        to_head: bool,
    },
    Length(u64),
    Chunked(Chunked),
    UntilClose,
    Done,
    /// Nothing that comes can be read as anything any more.
    Lost,
}

impl Link {
    pub(in crate::upstream) fn new(socket: UpstreamSocket, wire: Rc<Wire>) -> Rc<Self> {
        let exchange = Exchange {
            socket: Some(socket),
            ahead: BytesMut::new(),
            out: Out::default(),
            unflushed: false,
            sending: Sending::Done,
            receiving: Receiving::Nothing,
            persists: true,
            began: wire.written_at(),
            failed: None,
        };
        Rc::new(Self { exchange: RefCell::new(exchange), wire, watcher: RefCell::default() })
    }

    /// Puts a request's head on the connection, to leave with the first part of its body or by the next poll.
    ///
    /// # Errors
    /// [`Broken::Unsent`]: it was closed since it was leased.
    pub(in crate::upstream) fn open(
        self: &Rc<Self>,
        head: &Request<()>,
        has_body: bool,
    ) -> Result<(Option<Sink>, ResponseFuture), Broken> {
        let mut exchange = self.exchange.borrow_mut();
        if exchange.socket.is_none() {
            return Err(Broken::Unsent("the connection was closed".into()));
        }
        exchange.sending = match encode_request(head, has_body, exchange.out.bytes()) {
            RequestCoding::Length(length) if has_body => Sending::Length(length),
            RequestCoding::Length(_) => Sending::Done,
            RequestCoding::Chunked => Sending::Chunked,
        };
        let to_head = head.method() == Method::HEAD;
        exchange.receiving = Receiving::Head { search: Search::default(), to_head };
        exchange.unflushed = true;
        exchange.began = self.wire.written_at();
        drop(exchange);
        let sink = has_body.then(|| Sink::new(Rc::clone(self)));
        Ok((sink, ResponseFuture::new(Rc::clone(self))))
    }

    /// Closes the socket, whatever is under way.
    pub(in crate::upstream) fn close(&self) {
        let mut exchange = self.exchange.borrow_mut();
        exchange.receiving = Receiving::Lost;
        exchange.out = Out::default();
        let socket = exchange.socket.take();
        drop(exchange);
        drop(socket);
        if let Some(watcher) = &*self.watcher.borrow() {
            watcher.wake_by_ref();
        }
    }
}

impl Exchange {
    /// Writes what there is to write. What the peer no longer takes, it does not miss: it may have answered
    /// before it closed (RFC 9112, section 9.5), and reading says how the exchange ended.
    fn poll_flush(&mut self, wire: &Wire, cx: &mut Context<'_>) -> Poll<()> {
        while self.unflushed {
            let Some(socket) = &mut self.socket else { return Poll::Ready(()) };
            match ready!(self.out.poll_write(socket, cx)) {
                Ok(()) if matches!(self.sending, Sending::LastChunk) => {
                    self.out.last_chunk(None);
                    self.sending = Sending::Done;
                }
                Ok(()) => self.unflushed = false,
                Err(error) => self.write_failed(error, wire),
            }
        }
        Poll::Ready(())
    }

    fn write_failed(&mut self, error: io::Error, wire: &Wire) {
        wire.break_writing();
        (self.out, self.unflushed, self.persists) = (Out::default(), false, false);
        self.sending = Sending::Broken;
        let peers = [io::ErrorKind::BrokenPipe, io::ErrorKind::ConnectionReset];
        if self.began == wire.written_at() {
            self.failed = Some(Broken::Unsent(error.into()));
        } else if !peers.contains(&error.kind()) {
            self.failed = Some(Broken::Closed(error));
        }
    }

    /// Reads some bytes ahead; 0 is the connection's end.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let Some(socket) = &mut self.socket else { return Poll::Ready(Ok(0)) };
        // Read here and copied: a connection that waits keeps no room for what may come.
        let mut chunk = [const { MaybeUninit::uninit() }; READ];
        let mut buf = ReadBuf::uninit(&mut chunk);
        ready!(Pin::new(socket).poll_read(cx, &mut buf))?;
        self.ahead.extend_from_slice(buf.filled());
        Poll::Ready(Ok(buf.filled().len()))
    }

    /// Keeps no room where nothing is ahead.
    fn let_go(&mut self) {
        if self.ahead.is_empty() {
            self.ahead = BytesMut::new();
        }
    }
}
