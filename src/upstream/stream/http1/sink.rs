//! Where a request's body goes.

use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::Bytes;

use super::{Exchange, Link, Sending};
use crate::admit::Share;
use crate::upstream::stream::parcel::Parcel;

/// The half of a request that takes its body. Dropped before the end, it breaks the request: what was sent of it
/// must not look complete.
pub(in crate::upstream) struct Sink(Rc<Link>);

impl Sink {
    pub(super) fn new(link: Rc<Link>) -> Self {
        Self(link)
    }

    /// Ready when [`Sink::put`] may be given a part.
    pub(in crate::upstream) fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut exchange = self.0.exchange.borrow_mut();
        if exchange.out.is_full() { exchange.poll_flush(&self.0.wire, cx) } else { Poll::Ready(()) }
    }

    /// Takes a part, to leave with what is there already by the next flush. After the `end` nothing more may be
    /// given.
    pub(in crate::upstream) fn put(&self, part: Bytes, end: bool, share: Option<&Rc<Share>>) {
        let mut exchange = self.0.exchange.borrow_mut();
        if exchange.is_lost() {
            // The peer takes nothing; what it answered is still to be read.
            return;
        }
        exchange.put(part, end, share);
    }

    /// Ready when all that was given has left for the kernel, or nothing more can.
    pub(in crate::upstream) fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.0.exchange.borrow_mut().poll_flush(&self.0.wire, cx)
    }

    /// All of the body was given, or nobody takes the rest.
    pub(in crate::upstream) fn is_ended(&self) -> bool {
        let exchange = self.0.exchange.borrow();
        exchange.is_lost()
            || matches!(exchange.sending, Sending::Done | Sending::LastChunk | Sending::Broken)
    }
}

impl Exchange {
    /// Nothing can be written any more.
    fn is_lost(&self) -> bool {
        self.socket.is_none() || self.failed.is_some()
    }

    fn put(&mut self, part: Bytes, end: bool, share: Option<&Rc<Share>>) {
        let length = part.len() as u64;
        match &mut self.sending {
            Sending::Length(left) if length <= *left && (!end || length == *left) => {
                *left -= length;
                if end {
                    self.sending = Sending::Done;
                }
                self.out.data(Parcel::new(part, share));
            }
            Sending::Chunked => {
                self.out.chunk(Parcel::new(part, share));
                if end {
                    self.last_chunk();
                }
            }
            // It is not as long as its head said.
            _ => self.sending = Sending::Broken,
        }
        self.unflushed = true;
    }

    fn last_chunk(&mut self) {
        if self.out.is_full() {
            self.sending = Sending::LastChunk;
        } else {
            self.out.last_chunk(None);
            self.sending = Sending::Done;
        }
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        let mut exchange = self.0.exchange.borrow_mut();
        if matches!(exchange.sending, Sending::Length(_) | Sending::Chunked) {
            exchange.sending = Sending::Broken;
        }
    }
}
