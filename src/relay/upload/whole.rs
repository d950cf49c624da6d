//! Reads a request's body that is for us, and goes up to nobody.

use std::task::{Context, Poll, ready};

use super::{PARTS, Upload};
use crate::error::Error;
use crate::transport::come_again;

impl Upload {
    /// Reads all of the body into `whole`. `false` where it has more than `most` bytes: what is left of it is then still
    /// to be read. Waits for the client as [`Upload::poll`] does. To be called before anything was read, and until it is
    /// ready.
    ///
    /// # Errors
    /// The client failed, as of [`Upload::poll`].
    pub fn poll_whole(
        &mut self,
        cx: &mut Context<'_>,
        most: usize,
        whole: &mut Vec<u8>,
    ) -> Poll<Result<bool, Error>> {
        // It is sent nowhere again.
        self.kept.spoil();
        for _ in 0..PARTS {
            if self.reader.is_ended() {
                return Poll::Ready(Ok(true));
            }
            ready!(self.poll_next(cx))?;
            let part = std::mem::take(&mut self.chunk);
            if part.len() > most - whole.len() {
                return Poll::Ready(Ok(false));
            }
            self.reader.record().request_bytes(part.len());
            whole.extend_from_slice(&part);
            self.charge_with(whole.capacity());
        }
        come_again(cx);
        Poll::Pending
    }
}
