//! How long a connection without a request stays when its process leaves.
//!
//! HTTP/1.1 has no way to say "no more requests" but with an answer: a close between two requests may meet one
//! that is on its way, and nobody can tell whether it was processed. So a connection that was busy a moment ago
//! stays for its next request, whose answer says that it is the last. One that has rested for that long is
//! unlikely to have one on its way just now.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::time::Sleep;

/// Rest after which it may be closed: many round trips across the world, and a small part of any drain.
const GRACE: Duration = Duration::from_secs(2);

/// The wait of one connection that rests.
#[derive(Default)]
pub(super) struct Grace(Option<Pin<Box<Sleep>>>);

impl Grace {
    /// Ready once it has rested for long enough, `since` then.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, since: Instant) -> Poll<()> {
        let sleep = self
            .0
            .get_or_insert_with(|| Box::pin(tokio::time::sleep_until((since + GRACE).into())));
        sleep.as_mut().poll(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_was_busy_a_moment_ago_stays_and_who_rests_does_not() {
        let now = tokio::time::Instant::now();
        let waited = async |since: Instant| {
            let (mut grace, began) = (Grace::default(), tokio::time::Instant::now());
            std::future::poll_fn(|cx| grace.poll(cx, since)).await;
            began.elapsed()
        };
        assert!(waited(now.into_std()).await >= GRACE);
        assert_eq!(waited(now.into_std()).await, Duration::ZERO, "it has rested since");
    }
}
