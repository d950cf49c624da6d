//! The rest of a request's body that no upstream takes: it is read and forgotten, for as long as its sender goes on.

use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::algo::lingering::Lingering;
use crate::relay::deadline::Deadline;
use crate::relay::request_body::RequestBody;

/// Whether that has begun.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Discard(Option<Begun>);

#[derive(Debug, Clone, Copy)]
struct Begun {
    lingering: Lingering,
    /// For how long the sender had not been allowed to send then.
    hindered: Duration,
}

impl Discard {
    /// Nothing was discarded yet.
    pub(super) fn is_new(&self) -> bool {
        self.0.is_none()
    }

    /// Reads on; ready when all has come, or its sender is waited for no longer. `ended` becomes whether all has.
    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        body: &mut RequestBody,
        ended: &mut bool,
        deadline: &mut Deadline,
    ) -> Poll<()> {
        let begun = self.0.get_or_insert_with(|| Begun {
            lingering: Lingering::new(Instant::now()),
            hindered: body.hindered(),
        });
        let mut came = 0;
        while !*ended {
            match body.poll_frame(cx) {
                Poll::Pending => {
                    if came > 0 {
                        begun.lingering.came(came, Instant::now());
                    }
                    let hindered = body.hindered().saturating_sub(begun.hindered);
                    return deadline.poll(cx, begun.lingering.due() + hindered);
                }
                Poll::Ready(Some(Ok(frame))) => {
                    came += frame.data_ref().map_or(0, Bytes::len);
                    *ended = body.is_end_stream();
                }
                Poll::Ready(None | Some(Err(_))) => *ended = true,
            }
        }
        Poll::Ready(())
    }
}
