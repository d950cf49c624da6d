//! What is counted of a request's body, where memory has a ceiling.

use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Instant;

use crate::admit::{Share, Stock};
use crate::error::{Error, Kind};

/// Dropped, it waits for nobody; what its connection still holds stays counted there.
pub(super) struct Charge {
    /// While memory is short nothing more is kept.
    stock: Rc<Stock>,
    share: Option<Rc<Share>>,
    charged: usize,
}

impl Charge {
    pub(super) fn new(stock: &Rc<Stock>) -> Self {
        Self { stock: Rc::clone(stock), share: None, charged: 0 }
    }

    /// For another body of the same worker.
    pub(super) fn beside(&self) -> Self {
        Self::new(&self.stock)
    }

    /// So many bytes may be kept.
    pub(super) fn has_room_for(&self, bytes: usize) -> bool {
        self.stock.has_room_for(bytes)
    }

    /// Memory is near its ceiling.
    pub(super) fn is_short(&self) -> bool {
        self.stock.pressure().is_short()
    }

    /// So many bytes are held.
    pub(super) fn set(&mut self, now: usize) {
        if now == self.charged {
            return;
        }
        let before = std::mem::replace(&mut self.charged, now);
        if let Some(share) = self.share() {
            share.set(before, now);
        }
    }

    /// Made when first needed: most requests are over before.
    pub(super) fn share(&mut self) -> Option<&Rc<Share>> {
        if self.share.is_none() {
            self.share = self.stock.share();
        }
        self.share.as_ref()
    }

    /// Ready when what is held for an upstream is wanted for others. It waits since `progress` where more is
    /// held than its `own`, which no upstream has to take.
    pub(super) fn poll_ended(
        &self,
        cx: &Context<'_>,
        own: impl FnOnce() -> usize,
        progress: Instant,
    ) -> Poll<Error> {
        let Some(share) = &self.share else { return Poll::Pending };
        if share.is_ended() {
            return Poll::Ready(Kind::MemoryShort.into());
        }
        if share.held() > own() {
            share.wait(progress, cx.waker());
        } else {
            share.go_on();
        }
        Poll::Pending
    }

    pub(super) fn is_ended(&self) -> bool {
        self.share.as_ref().is_some_and(|share| share.is_ended())
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        if let Some(share) = &self.share {
            share.go_on();
        }
    }
}
