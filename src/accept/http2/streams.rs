//! The streams of one HTTP/2 connection: whether one is open, and how many its client gave up.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::Context;
use std::time::Instant;

use crate::accept::idle::{Rest, Why};
use crate::algo::token_bucket::Bucket;
use crate::transport::Wire;

/// Requests that a client may give up at once: all that it can have on a connection, twice.
const CANCELS: u32 = 2_048;

/// And each second, for ever. Each costs an upstream's stream, and may be billed; who multiplexes many
/// users sees some of them leave at any time.
const CANCELS_A_SECOND: u32 = 50;

/// See the module.
pub(super) struct Streams {
    /// Tasks of hyper's that run.
    open: Cell<usize>,
    /// There was a first one.
    asked: Cell<bool>,
    cancels: RefCell<Bucket>,
    rest: Rest,
    wire: Rc<Wire>,
}

/// A stream whose task runs.
pub(super) struct Counted(Rc<Streams>);

/// A request whose answer has not begun. Dropped before [`Asking::answered`], its client gave it up.
pub(super) struct Asking<'a>(Option<&'a Wire>);

impl Streams {
    /// Of the connection on `wire`.
    pub(super) fn new(rest: Rest, wire: Rc<Wire>) -> Self {
        let cancels = Bucket::new(CANCELS, CANCELS_A_SECOND, wire.read_at());
        Self {
            open: Cell::new(0),
            asked: Cell::new(false),
            cancels: RefCell::new(cancels),
            rest,
            wire,
        }
    }

    /// Why the connection is to go: said once.
    pub(super) fn poll_told(&self, cx: &Context<'_>) -> Option<Why> {
        self.rest.poll_told(cx)
    }

    /// Whether nothing is left to do on the connection, which then rests. What was answered counts until the
    /// socket has taken it.
    pub(super) fn settle(&self) -> bool {
        let settled = self.open.get() == 0 && self.wire.answers() == 0 && !self.wire.is_full();
        if settled {
            self.rest.begins(Instant::now);
        }
        settled
    }

    /// Whether the client has sent a request yet.
    pub(super) fn has_asked(&self) -> bool {
        self.asked.get()
    }

    /// Whether the client gave up more requests than it may.
    pub(super) fn are_given_up_too_often(&self) -> bool {
        let given_up = self.wire.take_given_up();
        given_up > 0 && !self.cancels.borrow_mut().take(given_up, self.wire.read_at())
    }
}

impl Counted {
    pub(super) fn new(streams: &Rc<Streams>) -> Self {
        streams.open.set(streams.open.get() + 1);
        streams.asked.set(true);
        streams.rest.ends();
        Self(Rc::clone(streams))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.open.set(self.0.open.get() - 1);
        // A reset stream has nothing more to write: the connection's own task need not run again.
        self.0.settle();
    }
}

impl<'a> Asking<'a> {
    pub(super) fn new(wire: &'a Wire) -> Self {
        Self(Some(wire))
    }

    pub(super) fn answered(mut self) {
        self.0 = None;
    }
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        if let Some(wire) = self.0 {
            wire.give_up();
        }
    }
}
