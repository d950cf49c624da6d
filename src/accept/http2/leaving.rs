//! How long a connection that was told to finish may still take.
//!
//! An HTTP/2 client learns it from a GOAWAY that allows what is on its way, and answers the PING behind it
//! (RFC 9113, section 6.8); h2 then closes by itself. One that does not answer is waited for only while it
//! still takes what was answered, or says something.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use tokio::time::Sleep;

/// Silence after which nothing more is on its way: a slow round trip across the world, several times over.
const SILENCE: Duration = Duration::from_secs(1);
/// And the longest that somebody may go on talking who asks for nothing.
const MOST: Duration = Duration::from_secs(10);

/// See the module.
#[derive(Default)]
pub(super) struct Leaving {
    told: bool,
    /// Since when nothing is left to do on it.
    since: Option<Instant>,
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Leaving {
    /// It is told now; `false` if it was before.
    pub(super) fn begin(&mut self) -> bool {
        !std::mem::replace(&mut self.told, true)
    }

    /// Ready when nobody need be waited for any more. `busy`: something is left to do on it. The peer was
    /// `heard` last then.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, busy: bool, heard: Instant) -> Poll<()> {
        if !self.told {
            return Poll::Pending;
        }
        if busy {
            self.since = None;
            return Poll::Pending;
        }
        let since = *self.since.get_or_insert_with(Instant::now);
        let due = due(since, heard).into();
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(due)));
        if sleep.deadline() != due {
            sleep.as_mut().reset(due);
        }
        ready!(sleep.as_mut().poll(cx));
        Poll::Ready(())
    }
}

fn due(since: Instant, heard: Instant) -> Instant {
    (since.max(heard) + SILENCE).min(since + MOST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_silent_is_not_waited_for_and_who_talks_not_for_ever() {
        let since = Instant::now();
        let after = |seconds| since + Duration::from_secs(seconds);
        assert_eq!(due(since, since), after(1));
        assert_eq!(due(since + Duration::from_secs(5), since), after(6), "since its last stream");
        assert_eq!(due(since, after(3)), after(4));
        assert_eq!(due(since, after(60)), after(10));
    }
}
