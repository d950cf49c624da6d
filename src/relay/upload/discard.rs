//! The rest of a request's body that no upstream takes: it is read and forgotten, within bounds.

use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::Upload;
use super::reader::Reader;

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

impl Upload {
    /// A client is still sending it, and must be let finish; see [`crate::relay::drive::discard_request_body`].
    pub(in crate::relay) fn is_coming(&self) -> bool {
        self.reader.lingers() && !self.reader.is_ended()
    }

    /// Reads and forgets; ready when all has come, or as much or as long as it may.
    pub(in crate::relay) fn poll_discard(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.reader.discard.since.is_none() {
            self.forget();
        }
        self.reader.poll_discard(cx)
    }

    /// Lets go of everything that no upstream gets any more.
    fn forget(&mut self) {
        self.kept.spoil();
        (self.chunk, self.again) = (Bytes::new(), Vec::new().into_iter());
        self.charge_with(0);
    }
}

impl Reader {
    fn poll_discard(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let since = *self.discard.since.get_or_insert_with(Instant::now);
        while !self.ended && self.discard.left > 0 {
            match self.body.poll_frame(cx) {
                Poll::Pending => return self.deadline.poll(cx, since + WITHIN),
                Poll::Ready(Some(Ok(frame))) => {
                    let len = frame.data_ref().map_or(0, Bytes::len);
                    self.discard.left = self.discard.left.saturating_sub(len);
                    self.ended = self.body.is_end_stream();
                }
                Poll::Ready(None | Some(Err(_))) => self.ended = true,
            }
        }
        Poll::Ready(())
    }
}
