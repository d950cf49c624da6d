//! The rest of a request's body that no upstream takes: it is read and forgotten, within bounds.

use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::relay::deadline::Deadline;
use crate::relay::request_body::RequestBody;

/// What is read at most of a body that nobody takes. Chats with long context fit, and it is read as
/// fast as it comes: no copy of it is made.
const MOST: usize = 1024 * 1024;

/// And for how long at most: as long as a slow client needs for it.
const WITHIN: Duration = Duration::from_secs(2);

/// How much of that is used up.
#[derive(Debug, Clone, Copy)]
pub(super) struct Discard {
    left: usize,
    since: Option<Instant>,
}

impl Default for Discard {
    fn default() -> Self {
        Self { left: MOST, since: None }
    }
}

impl Discard {
    /// Nothing was discarded yet.
    pub(super) fn is_new(&self) -> bool {
        self.since.is_none()
    }

    /// Reads on; ready when all has come, or as much or as long as it may. `ended` becomes whether it has.
    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        body: &mut RequestBody,
        ended: &mut bool,
        deadline: &mut Deadline,
    ) -> Poll<()> {
        let since = *self.since.get_or_insert_with(Instant::now);
        while !*ended && self.left > 0 {
            match body.poll_frame(cx) {
                Poll::Pending => return deadline.poll(cx, since + WITHIN),
                Poll::Ready(Some(Ok(frame))) => {
                    let len = frame.data_ref().map_or(0, Bytes::len);
                    self.left = self.left.saturating_sub(len);
                    *ended = body.is_end_stream();
                }
                Poll::Ready(None | Some(Err(_))) => *ended = true,
            }
        }
        Poll::Ready(())
    }
}
