//! Requests that wait for a stream, in the order in which they came.
//!
//! Whoever leaves takes its place out at once: the queue never holds more than those who wait, however
//! often clients come and go, and its length is known without a look at each of them.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use tokio::sync::oneshot;

use super::Pool;
use super::lease::Lease;
use crate::error::{Error, Kind};
use crate::record::GaugeGuard;

/// What a waiting request is sent: its lease, or why it gets none.
pub(super) type Granted = Result<Lease, Error>;

/// A pool's queue. Joining, leaving and serving cost the logarithm of its length.
#[derive(Default)]
pub(super) struct Queue {
    waiting: RefCell<BTreeMap<u64, oneshot::Sender<Granted>>>,
    /// The next ticket. Tickets rise, so that the smallest has waited longest.
    next: Cell<u64>,
}

impl Queue {
    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.waiting.borrow().len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.borrow().is_empty()
    }

    /// The one that has waited longest. What it is sent comes back if it left in that moment.
    pub(super) fn pop(&self) -> Option<oneshot::Sender<Granted>> {
        self.waiting.borrow_mut().pop_first().map(|(_, grant)| grant)
    }

    /// Sends an error to all but the `first` of them.
    pub(super) fn fail_beyond(&self, first: usize, error: Error) {
        let mut waiting = self.waiting.borrow_mut();
        let Some(split) = waiting.keys().nth(first).copied() else { return };
        let failed = waiting.split_off(&split);
        drop(waiting);
        let again = error.again();
        let mut first = Some(error);
        for grant in failed.into_values() {
            let _left = grant.send(Err(first.take().unwrap_or_else(|| again.again())));
        }
    }

    fn join(&self) -> (u64, oneshot::Receiver<Granted>) {
        let ticket = self.next.replace(self.next.get() + 1);
        let (grant, granted) = oneshot::channel();
        self.waiting.borrow_mut().insert(ticket, grant);
        (ticket, granted)
    }

    fn leave(&self, ticket: u64) {
        let left = self.waiting.borrow_mut().remove(&ticket);
        drop(left);
    }
}

/// A place in the queue, and what comes of it. Dropped, it leaves the queue; a lease granted in that
/// moment goes to the next.
pub(super) struct Waiting {
    pool: Rc<Pool>,
    ticket: u64,
    granted: oneshot::Receiver<Granted>,
    _counted: GaugeGuard,
}

impl Waiting {
    pub(super) fn new(pool: &Rc<Pool>) -> Self {
        let (ticket, granted) = pool.queue.join();
        let counted = pool.meters().waiting.enter();
        Self { pool: Rc::clone(pool), ticket, granted, _counted: counted }
    }
}

impl Future for Waiting {
    type Output = Granted;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Granted> {
        let granted = Pin::new(&mut self.granted).poll(cx);
        // The pool outlives its waiters; were it gone, we would be shutting down.
        granted.map(|granted| granted.unwrap_or_else(|_gone| Err(Error::new(Kind::Draining))))
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.pool.queue.leave(self.ticket);
        // A closed pool keeps its connections for those who wait: this may have been the last.
        self.pool.empty();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The kinds of error that each was sent; none for who was not.
    fn sent(joined: &mut [(u64, oneshot::Receiver<Granted>)]) -> Vec<Option<Kind>> {
        let of = |granted: &mut oneshot::Receiver<Granted>| match granted.try_recv() {
            Ok(Err(error)) => Some(error.kind()),
            _ => None,
        };
        joined.iter_mut().map(|(_, granted)| of(granted)).collect()
    }

    #[test]
    fn those_who_came_first_are_served_first_and_who_left_is_no_longer_there() {
        let queue = Queue::default();
        let mut joined: Vec<_> = (0..4).map(|_| queue.join()).collect();
        queue.leave(joined[0].0);
        queue.leave(joined[2].0);
        assert_eq!(queue.len(), 2);
        let first = queue.pop().expect("two wait");
        assert!(first.send(Err(Error::new(Kind::PoolQueueFull))).is_ok());
        assert_eq!(sent(&mut joined), [None, Some(Kind::PoolQueueFull), None, None]);
        queue.leave(joined[3].0);
        assert!(queue.is_empty() && queue.pop().is_none());
        queue.leave(joined[3].0); // twice is no harm
    }

    #[test]
    fn an_error_reaches_those_beyond_what_can_be_served() {
        let queue = Queue::default();
        let mut joined: Vec<_> = (0..4).map(|_| queue.join()).collect();
        queue.fail_beyond(3, Error::new(Kind::Tls));
        queue.fail_beyond(3, Error::new(Kind::Tls));
        assert_eq!((queue.len(), sent(&mut joined)), (3, vec![None, None, None, Some(Kind::Tls)]));
        queue.fail_beyond(0, Error::new(Kind::Tls));
        assert!(queue.is_empty());
        assert_eq!(sent(&mut joined)[..3], [Some(Kind::Tls); 3]);
    }
}
