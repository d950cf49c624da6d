//! Leaving in order: connections are told to finish, and counted until the last one has.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::{Context, Waker};

use tokio::sync::Notify;

/// One worker's client connections, and whether they are to finish. Clones share it.
#[derive(Clone, Default)]
pub struct Drain(Rc<Inner>);

#[derive(Default)]
struct Inner {
    begun: Cell<bool>,
    open: Cell<usize>,
    wakers: RefCell<Vec<Waker>>,
    empty: Notify,
}

/// A connection that a drain waits for, for as long as it lives.
pub(super) struct DrainGuard {
    drain: Rc<Inner>,
    told: bool,
    registered: Option<Waker>,
}

impl Drain {
    pub(super) fn join(&self) -> DrainGuard {
        self.0.open.set(self.0.open.get() + 1);
        DrainGuard { drain: Rc::clone(&self.0), told: false, registered: None }
    }

    /// Tells every connection to finish what it carries and take nothing new.
    pub fn begin(&self) {
        self.0.begun.set(true);
        for waker in self.0.wakers.take() {
            waker.wake();
        }
    }

    /// Returns once no connection is open.
    pub async fn emptied(&self) {
        while self.0.open.get() > 0 {
            self.0.empty.notified().await;
        }
    }
}

impl DrainGuard {
    /// Whether [`DrainGuard::poll_told`] has said so.
    pub(super) fn is_told(&self) -> bool {
        self.told
    }

    /// True once, when the connection is to finish; until then its task is woken for it.
    pub(super) fn poll_told(&mut self, cx: &Context<'_>) -> bool {
        if self.told {
            return false;
        }
        if self.drain.begun.get() {
            self.told = true;
            return true;
        }
        if !self.registered.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            // A connection lives in one task, whose waker does not change: this is done once, and
            // what closed connections leave behind is dropped when the list has doubled.
            self.registered = Some(cx.waker().clone());
            self.drain.wakers.borrow_mut().push(cx.waker().clone());
        }
        false
    }
}

impl Drop for DrainGuard {
    fn drop(&mut self) {
        if let Some(mine) = &self.registered {
            let mut wakers = self.drain.wakers.borrow_mut();
            if let Some(at) = wakers.iter().position(|waker| waker.will_wake(mine)) {
                wakers.swap_remove(at);
            }
        }
        self.drain.open.set(self.drain.open.get() - 1);
        if self.drain.open.get() == 0 {
            self.drain.empty.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_is_told_once() {
        let drain = Drain::default();
        let mut drain_guard = drain.join();
        let cx = Context::from_waker(Waker::noop());
        assert!(!drain_guard.poll_told(&cx));
        drain.begin();
        assert!(drain_guard.poll_told(&cx));
        assert!(!drain_guard.poll_told(&cx));
        assert_eq!(drain.0.open.get(), 1);
        drop(drain_guard);
        assert_eq!(drain.0.open.get(), 0);
    }
}
