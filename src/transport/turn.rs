//! How much one task takes from one peer before the worker's other tasks and sockets have their turn.
//!
//! A runtime of one thread changes tasks only when one has to wait, and a peer that sends without an end
//! never makes us wait. tokio counts a task's socket operations for that, but one read may bring ten
//! thousand frames. So what is taken is counted at the source, in bytes of a socket and in items of a
//! parser; the count begins again whenever the task had to wait anyway.

use std::cell::Cell;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::task::{Context, Poll, Wake, Waker};

/// Bytes that a task reads from one socket in a turn. A frame has nine bytes at least, so that a turn is at
/// most some milliseconds of parsing; and it is more than any write joins, so that what is ready together
/// still leaves together.
pub(super) const BYTES: u32 = 64 * 1024;

/// Items that a task takes in a turn from a parser that has read ahead. Far more than an honest turn
/// carries: a model's tokens come one by one.
const ITEMS: u32 = 256;

/// What a task has taken from one peer since it last had to wait.
#[derive(Debug, Default)]
pub struct Turn {
    taken: Cell<u32>,
    /// The round in which the turn ended, or 0.
    ended: Cell<u32>,
}

impl Turn {
    /// Takes an item, unless the turn is over: then the task is polled again after the others.
    pub fn poll_item<T>(
        &self,
        cx: &mut Context<'_>,
        take: impl FnOnce(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        self.poll(cx, ITEMS, take, |_| 1)
    }

    /// The same for whatever is counted: `most` in a turn, and each taking as much as `cost` says.
    pub(super) fn poll<T>(
        &self,
        cx: &mut Context<'_>,
        most: u32,
        take: impl FnOnce(&mut Context<'_>) -> Poll<T>,
        cost: impl FnOnce(&T) -> u32,
    ) -> Poll<T> {
        if self.taken.get() >= most && self.is_over(cx) {
            return Poll::Pending;
        }
        let taken = take(cx);
        match &taken {
            Poll::Ready(taken) => self.taken.set(self.taken.get().saturating_add(cost(taken))),
            Poll::Pending => self.taken.set(0),
        }
        taken
    }

    /// Until the next round, however often the task is woken before: what was taken often wakes it.
    #[cold]
    fn is_over(&self, cx: &mut Context<'_>) -> bool {
        let round = Round::now();
        if ![0, round].contains(&self.ended.replace(round)) {
            self.ended.set(0);
            self.taken.set(0);
            return false;
        }
        Round::end();
        come_again(cx);
        true
    }
}

/// Counts how often the worker's sockets were looked at since somebody waited for that: the runtime does
/// so when no task is left to poll, and calls the wakers that wait for it.
#[derive(Debug)]
struct Round(AtomicU32);

thread_local! {
    static ROUND: Arc<Round> = Arc::new(Round(AtomicU32::new(1)));
}

impl Round {
    fn now() -> u32 {
        ROUND.with(|round| round.0.load(Relaxed))
    }

    /// Another one begins once the sockets were looked at.
    fn end() {
        let waker = ROUND.with(|round| Waker::from(Arc::clone(round)));
        come_again(&mut Context::from_waker(&waker));
    }
}

impl Wake for Round {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Relaxed);
    }
}

/// Has a task polled again after the sockets were looked at, and whoever they wake had a turn. A waker that
/// is called at once is polled 60 times before that (tokio's `event_interval`).
pub fn come_again(cx: &mut Context<'_>) {
    let yielding = pin!(tokio::task::yield_now());
    let _pending = yielding.poll(cx);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Woken(AtomicU32);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Relaxed);
        }
    }

    #[test]
    fn a_turn_ends_after_so_many_items_and_another_follows() {
        let (turn, woken) = (Turn::default(), Arc::new(Woken::default()));
        let waker = Waker::from(Arc::clone(&woken));
        let mut cx = Context::from_waker(&waker);
        for round in 1..=3 {
            for _ in 0..ITEMS {
                assert!(turn.poll_item(&mut cx, |_| Poll::Ready(())).is_ready());
            }
            assert!(turn.poll_item(&mut cx, |_| Poll::Ready(())).is_pending());
            assert_eq!(woken.0.load(Relaxed), round, "it is polled again");
        }
    }

    #[test]
    fn who_has_to_wait_anyway_begins_a_new_turn() {
        let (turn, mut cx) = (Turn::default(), Context::from_waker(Waker::noop()));
        for _ in 0..10 {
            for _ in 1..ITEMS {
                assert!(turn.poll_item(&mut cx, |_| Poll::Ready(())).is_ready());
            }
            assert!(turn.poll_item(&mut cx, |_| Poll::<()>::Pending).is_pending());
        }
        assert!(turn.poll_item(&mut cx, |_| Poll::Ready(())).is_ready());
    }

    #[tokio::test]
    async fn who_is_woken_before_the_sockets_were_looked_at_waits_on() {
        let (turn, mut turns) = (Turn::default(), Vec::new());
        let taking = std::future::poll_fn(move |cx| {
            cx.waker().wake_by_ref();
            let mut take = |_: &u32| turn.poll_item(cx, |_| Poll::Ready(())).is_ready();
            turns.push((0..=ITEMS).take_while(&mut take).count() as u32);
            let taken: u32 = turns.iter().sum();
            if taken < 3 * ITEMS { Poll::Pending } else { Poll::Ready(turns.clone()) }
        });
        let turns = tokio::spawn(taking).await.unwrap();
        assert!(turns.contains(&0), "it was woken in between");
        assert!(turns.iter().all(|taken| [0, ITEMS].contains(taken)), "{turns:?}");
    }

    #[test]
    fn the_last_to_be_taken_may_be_as_large_as_it_is() {
        let (turn, mut cx) = (Turn::default(), Context::from_waker(Waker::noop()));
        let mut take = |bytes| turn.poll(&mut cx, 100, |_| Poll::Ready(bytes), |bytes| *bytes);
        assert_eq!(take(99), Poll::Ready(99));
        assert_eq!(take(u32::MAX), Poll::Ready(u32::MAX));
        assert!(take(1).is_pending());
        assert_eq!(take(1), Poll::Ready(1));
    }
}
