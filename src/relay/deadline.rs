//! A deadline that moves later for free: the timer is armed once, and looks again when it fires.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use tokio::time::Sleep;

/// A timer that is made when first needed. Moving its deadline later costs nothing; only moving it
/// earlier touches the timer wheel.
#[derive(Debug, Default)]
pub struct Deadline {
    armed: Option<(Pin<Box<Sleep>>, Instant)>,
}

impl Deadline {
    /// Ready once `due` has passed; until then the task is woken in time to look again.
    pub fn poll(&mut self, cx: &mut Context<'_>, due: Instant) -> Poll<()> {
        let (sleep, at) =
            self.armed.get_or_insert_with(|| (Box::pin(tokio::time::sleep_until(due.into())), due));
        if due < *at {
            sleep.as_mut().reset(due.into());
            *at = due;
        }
        loop {
            ready!(sleep.as_mut().poll(cx));
            if due <= *at {
                return Poll::Ready(());
            }
            sleep.as_mut().reset(due.into());
            *at = due;
        }
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
