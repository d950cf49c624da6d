//! One upstream is asked.

use std::future::poll_fn;
use std::task::Poll;

use super::Proxy;
use super::travel::Trip;
use crate::config::UpstreamId;
use crate::error::Error;
use crate::relay::replay::{Failure, Replay, Seen, decide};
use crate::relay::{Answer, Attempt, exchange};

impl Proxy {
    /// Sends the request to one upstream until an answer begins or a failure must be told: again only
    /// if it provably was not processed.
    pub(super) async fn ask(&self, trip: &Trip<'_>, at: UpstreamId) -> Result<Answer, Attempt> {
        let Trip { head, route, upload, record, .. } = *trip;
        let upstream = &self.upstreams[at.0];
        let mut replays = 0;
        loop {
            let lease = upstream.pool.lease(record).await.map_err(unsent)?;
            // From the client's own head each time: what one upstream is told, its key above all, is
            // nothing that another sees.
            let request = upstream
                .head
                .request(head.clone(), route.prefix, lease.version())
                .map_err(unsent)?;
            // Not before: a client that waits to be told to send its body is told by this.
            poll_fn(|cx| Poll::Ready(upload.borrow_mut().gather(cx))).await.map_err(unproven)?;
            let clocks = self.clocks(trip, at);
            let attempt = match exchange(lease, request, upload, clocks, record).await {
                Ok(answer) => return Ok(answer),
                Err(attempt) => attempt,
            };
            let kept = upload.borrow().kept();
            match decide(attempt.failure, Seen::Nothing, kept, replays) {
                Replay::Yes(reason) if upload.borrow_mut().rewind() => record.replayed(reason),
                _ => return Err(attempt),
            }
            replays += 1;
        }
    }
}

fn unsent(error: Error) -> Attempt {
    Attempt { error, failure: Failure::Unsent }
}

fn unproven(error: Error) -> Attempt {
    Attempt { error, failure: Failure::Unknown }
}
