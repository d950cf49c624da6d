//! A subscription as an answer's body.

use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::admit::Charge;
use crate::error::Error;
use crate::events::Subscription;
use crate::relay::{Deadline, OwnSource};

/// A comment, which every reader of events passes over. What stands before it ended with a blank line.
const HEARTBEAT: Bytes = Bytes::from_static(b":\n");

/// Events as they come, and comments where none do. Dropped, the subscription is over.
pub(super) struct Feed {
    subscription: Subscription,
    heartbeat: Duration,
    /// When something was given last.
    given: Instant,
    deadline: Deadline,
    is_over: bool,
    /// Its client's places among requests in flight.
    _charge: Option<Charge>,
}

impl Feed {
    pub(super) fn new(
        subscription: Subscription,
        heartbeat: Duration,
        charge: Option<Charge>,
    ) -> Self {
        let (given, deadline) = (Instant::now(), Deadline::default());
        Self { subscription, heartbeat, given, deadline, is_over: false, _charge: charge }
    }
}

impl OwnSource for Feed {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Error>>> {
        if let Poll::Ready(next) = self.subscription.poll_next(cx) {
            self.given = Instant::now();
            self.is_over = next.is_none();
            return Poll::Ready(next.map(|event| event.map_err(Error::from)));
        }
        ready!(self.deadline.poll(cx, self.given + self.heartbeat));
        self.given = Instant::now();
        Poll::Ready(Some(Ok(HEARTBEAT)))
    }

    fn is_end(&self) -> bool {
        self.is_over
    }

    fn is_endless(&self) -> bool {
        true
    }

    /// Events have no one moment at which they came: some were there before their subscriber.
    fn read_at(&self) -> Option<Instant> {
        None
    }
}
