//! A deadline that moves later for free: the timer is armed once, and looks again when it fires.

use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};
use std::time::Instant;

use tokio::time::Sleep;

/// A timer that is made when first needed. Moving its deadline later costs nothing; only moving it
/// earlier touches the timer wheel.
#[derive(Debug, Default)]
pub struct Deadline {
    armed: Option<Armed>,
}

#[derive(Debug)]
struct Armed {
    sleep: Pin<Box<Sleep>>,
    at: Instant,
    /// Whom the timer wakes: while that is who asks, it need not be told again at every frame.
    waker: Waker,
}

impl Deadline {
    /// Ready once `due` has passed; until then the task is woken in time to look again.
    pub fn poll(&mut self, cx: &mut Context<'_>, due: Instant) -> Poll<()> {
        match &mut self.armed {
            Some(armed) if armed.waits(cx, due) => Poll::Pending,
            Some(armed) => armed.poll(cx, due),
            None => self.armed.insert(Armed::new(cx, due)).poll(cx, due),
        }
    }
}

impl Armed {
    fn new(cx: &Context<'_>, due: Instant) -> Self {
        let sleep = Box::pin(tokio::time::sleep_until(due.into()));
        Self { sleep, at: due, waker: cx.waker().clone() }
    }

    /// The timer runs, not too late, and will wake this task.
    fn waits(&self, cx: &Context<'_>, due: Instant) -> bool {
        due >= self.at && self.waker.will_wake(cx.waker()) && !self.sleep.is_elapsed()
    }

    fn poll(&mut self, cx: &mut Context<'_>, due: Instant) -> Poll<()> {
        self.waker.clone_from(cx.waker());
        if due < self.at {
            self.reset(due);
        }
        loop {
            ready!(self.sleep.as_mut().poll(cx));
            if due <= self.at {
                return Poll::Ready(());
            }
            self.reset(due);
        }
    }

    fn reset(&mut self, due: Instant) {
        self.sleep.as_mut().reset(due.into());
        self.at = due;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    async fn passed(deadline: &mut Deadline, due: Instant) {
        std::future::poll_fn(|cx| deadline.poll(cx, due)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_deadline_moved_later_does_not_pass_early() {
        let start = tokio::time::Instant::now().into_std();
        let mut deadline = Deadline::default();
        let first = start + Duration::from_secs(1);
        let pending =
            std::future::poll_fn(|cx| Poll::Ready(deadline.poll(cx, first).is_pending())).await;
        assert!(pending);
        passed(&mut deadline, start + Duration::from_secs(5)).await;
        assert!(tokio::time::Instant::now().into_std() >= start + Duration::from_secs(5));
    }

    #[tokio::test(start_paused = true)]
    async fn who_asked_last_is_woken() {
        let start = tokio::time::Instant::now().into_std();
        let (mut deadline, due) = (Deadline::default(), start + Duration::from_secs(1));
        let mut nobody = Context::from_waker(Waker::noop());
        assert!(deadline.poll(&mut nobody, due).is_pending());
        let asked = tokio::time::timeout(Duration::from_secs(60), passed(&mut deadline, due));
        asked.await.expect("the timer still wakes nobody");
    }

    #[tokio::test(start_paused = true)]
    async fn a_deadline_moved_earlier_passes_at_the_earlier_time() {
        let start = tokio::time::Instant::now().into_std();
        let mut deadline = Deadline::default();
        let late = start + Duration::from_secs(600);
        let pending =
            std::future::poll_fn(|cx| Poll::Ready(deadline.poll(cx, late).is_pending())).await;
        assert!(pending);
        passed(&mut deadline, start + Duration::from_secs(30)).await;
        assert!(tokio::time::Instant::now().into_std() < start + Duration::from_secs(31));
    }
}
