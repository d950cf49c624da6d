//! How long a connection may wait between two requests, and inside a head.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::time::Sleep;

/// One wait for a head, until it is whole.
pub(super) struct HeadTimeout {
    head: Duration,
    idle: Duration,
    begun: bool,
    since: Instant,
    sleep: Option<Pin<Box<Sleep>>>,
}

/// Which time ran out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Expired {
    /// Nothing was asked.
    Idle,
    /// A head was begun and not finished.
    Head,
}

impl HeadTimeout {
    /// A wait that began at `since`. `begun`: inside a head, as a new connection counts.
    pub(super) fn new(head: Duration, idle: Duration, begun: bool, since: Instant) -> Self {
        Self { head, idle, begun, since, sleep: None }
    }

    /// Ready when the time is over; `begun` once a byte of the head is there, which counts from then.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, begun: bool) -> Poll<Expired> {
        if begun && !self.begun {
            (self.begun, self.since, self.sleep) = (true, Instant::now(), None);
        }
        let (most, expired) =
            if self.begun { (self.head, Expired::Head) } else { (self.idle, Expired::Idle) };
        let due = self.since + most;
        let sleep =
            self.sleep.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(due.into())));
        sleep.as_mut().poll(cx).map(|()| expired)
    }
}
