//! Leaving in order: connections are told to finish, and counted until the last one has.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::{Context, Waker};

use tokio::sync::Notify;

/// How far a worker is in leaving. It never goes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Stage {
    /// It stays.
    #[default]
    Serve,
    /// It still accepts, and each answer says that it is its connection's last.
    LameDuck,
    /// It accepts nothing more, and connections end.
    Drain,
}

/// One worker's client connections, and how far it is in leaving. Clones share it.
#[derive(Clone, Default)]
pub struct Drain(Rc<Inner>);

#[derive(Default)]
struct Inner {
    stage: Cell<Stage>,
    open: Cell<usize>,
    wakers: RefCell<Vec<Waker>>,
    empty: Notify,
}

/// A connection that a drain waits for, for as long as it lives.
pub(super) struct DrainGuard {
    drain: Rc<Inner>,
    told: Stage,
    registered: Option<Waker>,
}

impl Drain {
    pub(super) fn join(&self) -> DrainGuard {
        self.0.open.set(self.0.open.get() + 1);
        DrainGuard { drain: Rc::clone(&self.0), told: Stage::Serve, registered: None }
    }

    /// Tells every connection how far it is; never less than before.
    pub fn begin(&self, stage: Stage) {
        self.0.stage.set(stage.max(self.0.stage.get()));
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
    /// What [`DrainGuard::poll_told`] has said last.
    pub(super) fn told(&self) -> Stage {
        self.told
    }

    /// Each step once, when the worker takes it; until the last one the connection's task is woken for it.
    pub(super) fn poll_told(&mut self, cx: &Context<'_>) -> Option<Stage> {
        let now = self.drain.stage.get();
        let news = (now > self.told).then_some(now);
        if news.is_some() {
            (self.told, self.registered) = (now, None); // whoever told it took the waker
        }
        let is_registered =
            self.registered.as_ref().is_some_and(|waker| waker.will_wake(cx.waker()));
        if now < Stage::Drain && !is_registered {
            // A connection lives in one task, whose waker does not change: this is done once for each step.
            self.registered = Some(cx.waker().clone());
            self.drain.wakers.borrow_mut().push(cx.waker().clone());
        }
        news
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
    use std::sync::Arc;
    use std::task::Wake;

    struct Nobody;

    impl Wake for Nobody {
        fn wake(self: Arc<Self>) {}
    }

    #[test]
    fn a_member_is_told_of_each_step_once_and_woken_for_it() {
        let drain = Drain::default();
        let mut drain_guard = drain.join();
        let waker = Waker::from(Arc::new(Nobody));
        let cx = Context::from_waker(&waker);
        assert_eq!(drain_guard.poll_told(&cx), None);
        for step in [Stage::LameDuck, Stage::Drain] {
            assert_eq!(drain.0.wakers.borrow().len(), 1, "it waits for {step:?}");
            drain.begin(step);
            assert_eq!(drain_guard.poll_told(&cx), Some(step));
            assert_eq!(drain_guard.poll_told(&cx), None);
        }
        drain.begin(Stage::LameDuck);
        assert_eq!((drain_guard.poll_told(&cx), drain_guard.told()), (None, Stage::Drain));
        assert_eq!((drain.0.open.get(), drain.0.wakers.borrow().len()), (1, 0));
        drop(drain_guard);
        assert_eq!(drain.0.open.get(), 0);
    }

    #[test]
    fn a_member_that_comes_late_is_told_at_once() {
        let drain = Drain::default();
        drain.begin(Stage::Drain);
        let cx = Context::from_waker(Waker::noop());
        assert_eq!(drain.join().poll_told(&cx), Some(Stage::Drain));
    }
}
