//! Bytes in the writer's hands: an answer that fails must not take with it what was handed over before,
//! and the writer (hyper for HTTP/2, `accept`'s own for HTTP/1.1), told of a failure, drops what it has
//! not written.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::Waker;

use bytes::{Buf, Bytes};

use crate::admit::Share;
use crate::transport::Wire;

/// A chunk of an answer's body. While it lives it is counted as not yet written.
pub struct TrackedBytes {
    bytes: Bytes,
    /// Of how many bytes it was made.
    whole: usize,
    outstanding: Option<Rc<Outstanding>>,
}

/// How many pieces of one answer the writer still holds. While this lives, its connection has an answer to
/// write.
pub(super) struct Outstanding {
    pieces: Cell<usize>,
    waker: RefCell<Option<Waker>>,
    wire: Rc<Wire>,
    /// Counts their bytes, where memory has a ceiling.
    share: Option<Rc<Share>>,
}

impl Outstanding {
    /// An answer on `wire`.
    pub(super) fn on(wire: &Rc<Wire>, share: Option<Rc<Share>>) -> Rc<Self> {
        wire.answer_begins();
        let (pieces, waker) = (Cell::new(0), RefCell::default());
        Rc::new(Self { pieces, waker, wire: Rc::clone(wire), share })
    }

    /// What is counted of the answer.
    pub(super) fn share(&self) -> Option<&Rc<Share>> {
        self.share.as_ref()
    }

    /// The writer holds something.
    pub(super) fn is_held(&self) -> bool {
        self.pieces.get() > 0
    }

    /// A piece that is counted until it is dropped.
    pub(super) fn track(self: &Rc<Self>, bytes: Bytes) -> TrackedBytes {
        self.pieces.set(self.pieces.get() + 1);
        if let Some(share) = &self.share {
            share.add(bytes.len());
        }
        TrackedBytes { whole: bytes.len(), bytes, outstanding: Some(Rc::clone(self)) }
    }

    /// True if the writer holds none; otherwise `waker` is woken when that is so.
    pub(super) fn is_free(&self, waker: &Waker) -> bool {
        if self.pieces.get() == 0 {
            return true;
        }
        self.waker.replace(Some(waker.clone()));
        false
    }
}

impl Drop for Outstanding {
    /// Nobody holds anything of it any more.
    fn drop(&mut self) {
        self.wire.answer_ends();
        if let Some(share) = &self.share {
            share.go_on();
        }
    }
}

impl From<Bytes> for TrackedBytes {
    fn from(bytes: Bytes) -> Self {
        Self { whole: bytes.len(), bytes, outstanding: None }
    }
}

impl Drop for TrackedBytes {
    /// Written, copied into the connection's own buffer, or dropped with the connection.
    fn drop(&mut self) {
        let Some(outstanding) = &self.outstanding else { return };
        outstanding.pieces.set(outstanding.pieces.get() - 1);
        if let Some(share) = &outstanding.share {
            share.sub(self.whole);
        }
        if outstanding.pieces.get() == 0
            && let Some(waker) = outstanding.waker.take()
        {
            waker.wake();
        }
    }
}

impl Buf for TrackedBytes {
    fn remaining(&self) -> usize {
        self.bytes.len()
    }

    fn chunk(&self) -> &[u8] {
        &self.bytes
    }

    fn advance(&mut self, count: usize) {
        self.bytes.advance(count);
    }
}
