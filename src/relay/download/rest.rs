//! The rest of a request whose answer has begun.

use std::task::{Context, Poll};

use crate::error::Error;
use crate::relay::drive;
use crate::relay::upload::Upload;
use crate::upstream::SendBody;

/// What is left to send of a request's body, and where it goes.
pub struct RequestRest {
    /// What is left.
    pub upload: Upload,
    /// Where it goes.
    pub sink: SendBody,
}

/// Sends it while the answer comes.
pub(super) struct Sending {
    /// Boxed: most answers begin when all of the request is sent, and every one would hold room for it.
    rest: Option<Box<RequestRest>>,
    /// In this poll of the client's task it could not go on: asking again would only cost.
    waits: bool,
}

impl Sending {
    pub(super) fn new(rest: Option<Box<RequestRest>>) -> Self {
        Self { rest, waits: false }
    }

    pub(super) fn begin_poll(&mut self) {
        self.waits = false;
    }

    /// Sends what can be sent; the error that ended it, once.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Option<Error> {
        let RequestRest { upload, sink } = self.rest.as_deref_mut()?;
        if self.waits {
            return None;
        }
        let polled = if upload.is_ended() { Poll::Pending } else { upload.poll(cx, sink) };
        let polled = if polled.is_pending() { upload.poll_ended(cx).map(Err) } else { polled };
        match polled {
            Poll::Pending => self.waits = true,
            Poll::Ready(Ok(())) => self.discard(),
            Poll::Ready(Err(error)) => {
                self.rest = None;
                return Some(error);
            }
        }
        None
    }

    /// Nobody takes it any more; its sender may still be let finish.
    pub(super) fn discard(&mut self) {
        if let Some(rest) = self.rest.take() {
            drive::discard_request_body(rest.upload);
        }
    }
}
