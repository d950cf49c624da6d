//! A comment for the client of a stream of events that is silent, so that nobody on the way takes its connection
//! for dead.
//!
//! It goes only between two events. Behind an empty line that is: elsewhere it would end a line that has only come
//! in part, or stand between CR and LF. It has one end of line and no empty one, which some SDKs take for an event
//! without data.

use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::relay::deadline::Deadline;
use crate::relay::observers::Observers;

/// A comment of the event stream format (WHATWG HTML, section 9.2.6).
const COMMENT: &[u8] = b":\n";

/// Watches one stream.
pub(super) struct Heartbeat {
    every: Duration,
    /// When it was time last, whether or not something was said.
    last: Option<Instant>,
    /// Its own: that of the body runs on while comments go out.
    deadline: Deadline,
}

impl Heartbeat {
    pub(super) fn new(every: Duration) -> Self {
        Self { every, last: None, deadline: Deadline::default() }
    }

    /// The client has all that came, the last of it at `heard`. Ready with a comment when it is time for one;
    /// otherwise the task is woken then.
    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        heard: Instant,
        observers: &Observers,
    ) -> Poll<Bytes> {
        loop {
            let since = self.last.map_or(heard, |last| last.max(heard));
            if self.deadline.poll(cx, since + self.every).is_pending() {
                return Poll::Pending;
            }
            self.last = Some(Instant::now());
            // Who has read the last event expects nothing more.
            if observers.is_between_events() && !observers.is_done() {
                return Poll::Ready(Bytes::from_static(COMMENT));
            }
        }
    }
}
