//! A request's body from the connection's socket.

use std::cell::{Cell, RefCell};
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};

use bytes::Bytes;
use hyper::body::Frame;
use tokio::io::AsyncWrite;

use super::chunked::{Chunked, Malformed, Step};
use super::head::Framing;
use crate::transport::{ClientSocket, Turn};

/// What tells a client that waits for it to send its body (RFC 9110, section 15.2.1).
const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// What a connection and the body of the request that it carries both hold.
pub struct Intake {
    socket: ClientSocket,
    left: RefCell<Left>,
    /// What is left to say before the body comes.
    interim: Cell<&'static [u8]>,
    given_up: Cell<bool>,
    waiter: Cell<Option<Waker>>,
    turn: Turn,
}

#[derive(Debug)]
enum Left {
    Length(u64),
    Chunked(Chunked),
    /// Nothing on this connection can be read as anything any more.
    Lost,
}

/// A request's body. Dropped before its end, it leaves the connection with bytes that are no request.
pub struct Body(Rc<Intake>);

/// What became of a request's body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// All of it was read: what follows is the next request.
    Whole,
    /// It was given up before its end, or broke off.
    InPart,
}

impl Intake {
    /// The body that follows a head on `socket`. `expects`: its sender waits to be told.
    pub fn new(socket: ClientSocket, framing: Framing, expects: bool) -> (Rc<Self>, Body) {
        let left = match framing {
            Framing::Length(length) => Left::Length(length),
            Framing::Chunked => Left::Chunked(Chunked::of_request()),
            Framing::Unclear => Left::Lost,
        };
        let intake = Rc::new(Self {
            socket,
            left: RefCell::new(left),
            interim: Cell::new(if expects { CONTINUE } else { b"" }),
            given_up: Cell::new(false),
            waiter: Cell::new(None),
            turn: Turn::default(),
        });
        (Rc::clone(&intake), Body(intake))
    }

    /// Ready once nobody reads the body any more.
    pub fn poll_taken(&self, cx: &Context<'_>) -> Poll<Taken> {
        if self.is_end() {
            Poll::Ready(Taken::Whole)
        } else if self.given_up.get() {
            Poll::Ready(Taken::InPart)
        } else {
            self.waiter.set(Some(cx.waker().clone()));
            Poll::Pending
        }
    }

    /// Whether the body's end may yet be read, and the next request after it. It won't be where the body
    /// was given up, and where its sender still waits to be told to send it: nobody knows whether it
    /// will.
    pub fn may_end(&self) -> bool {
        let waits = self.interim.get().len() == CONTINUE.len();
        self.is_end() || !(waits || self.given_up.get())
    }

    /// Nothing of its own is left to say before the answer.
    pub fn has_said_all(&self) -> bool {
        self.interim.get().is_empty()
    }

    /// What the answer must begin with: the rest of an interim answer of which a part has left.
    pub fn interim_begun(&self) -> &'static [u8] {
        let rest = self.interim.take();
        if rest.len() < CONTINUE.len() { rest } else { b"" }
    }

    /// All of it was read.
    pub fn is_end(&self) -> bool {
        match &*self.left.borrow() {
            Left::Length(left) => *left == 0,
            Left::Chunked(chunked) => chunked.is_end(),
            Left::Lost => false,
        }
    }

    fn step(&self) -> Result<Step, Malformed> {
        let mut left = self.left.borrow_mut();
        self.socket.take_ahead(|ahead| match &mut *left {
            Left::Length(0) => Ok(Step::End),
            Left::Length(_) if ahead.is_empty() => Ok(Step::More),
            Left::Length(left) => {
                let part = usize::try_from(*left).map_or(ahead.len(), |left| left.min(ahead.len()));
                *left -= part as u64;
                Ok(Step::Data(ahead.split_to(part).freeze()))
            }
            Left::Chunked(chunked) => chunked.next(ahead),
            Left::Lost => Err(Malformed),
        })
    }

    fn poll_interim(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.interim.get().is_empty() {
            let rest = self.interim.get();
            let wrote = ready!(Pin::new(&mut self.socket.clone()).poll_write(cx, rest))?;
            self.interim.set(&rest[wrote..]);
        }
        Poll::Ready(Ok(()))
    }

    fn settle(&self) {
        if let Some(waiter) = self.waiter.take() {
            waiter.wake();
        }
    }
}

impl Body {
    /// The next part as it came, or the trailers; `None` at the end. Reads from the socket only what
    /// it is asked for.
    ///
    /// # Errors
    /// The client left before the end, or its chunks are malformed.
    pub fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        self.0.turn.poll_item(cx, |cx| self.0.poll_next(cx))
    }

    /// Trailers may come after it: it is chunked.
    pub fn may_trail(&self) -> bool {
        matches!(*self.0.left.borrow(), Left::Chunked(_))
    }

    /// Nothing more will come.
    pub fn is_end_stream(&self) -> bool {
        self.0.is_end()
    }
}

impl Intake {
    fn poll_next(&self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        loop {
            let step = self.step();
            if self.is_end() {
                self.settle();
            }
            match step {
                Ok(Step::Data(data)) => return Poll::Ready(Some(Ok(Frame::data(data)))),
                Ok(Step::Trailers(trailers)) => {
                    return Poll::Ready(Some(Ok(Frame::trailers(trailers))));
                }
                Ok(Step::End) => return Poll::Ready(None),
                Ok(Step::More) => {}
                Err(Malformed) => {
                    return Poll::Ready(Some(Err(self.lost(
                        io::ErrorKind::InvalidData,
                        "the request body's chunked encoding is not valid",
                    ))));
                }
            }
            ready!(self.poll_interim(cx))?;
            if ready!(self.socket.poll_more(cx))? == 0 {
                return Poll::Ready(Some(Err(self.lost(
                    io::ErrorKind::UnexpectedEof,
                    "the client disconnected in the middle of its request body",
                ))));
            }
        }
    }

    fn lost(&self, kind: io::ErrorKind, why: &'static str) -> io::Error {
        self.left.replace(Left::Lost);
        io::Error::new(kind, why)
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        self.0.given_up.set(true);
        self.0.settle();
    }
}
