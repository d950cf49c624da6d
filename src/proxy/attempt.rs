//! One upstream is asked.

use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;

use super::attempts::RequestContext;
use super::{Proxy, Upstream};
use crate::config::UpstreamId;
use crate::error::{Error, Kind};
use crate::record::{Oversize, Record};
use crate::relay::head::{Withheld, is_large, speaks_of_trailers};
use crate::relay::replay::{Failure, Replay, Seen, decide};
use crate::relay::{Answer, Attempt, exchange};
use crate::upstream::{HeadSize, Lease, Marks};

impl Proxy {
    /// Sends the request to one upstream until an answer begins or a failure must be told: again only
    /// if it provably was not processed.
    pub(super) async fn send_with_replay(
        &self,
        context: &RequestContext<'_>,
        at: UpstreamId,
    ) -> Result<Answer, Attempt> {
        let RequestContext { head, scan, route, upload, record, .. } = *context;
        let upstream = &self.upstreams[at.0];
        let mut replays = 0;
        let size = upstream.head.most(head, scan);
        let trails = scan.marks.any(Marks::HOP_BY_HOP)
            && upload.borrow().may_trail()
            && speaks_of_trailers(&head.headers);
        let risky = trails || is_large(head, size);
        loop {
            let lease = upstream.lease(risky, record).await.map_err(unsent)?;
            // From the client's own head each time: what one upstream is told, its key above all, is
            // nothing that another sees.
            let mut request = upstream
                .head
                .request(head.clone(), scan, route.prefix, lease.version())
                .map_err(unsent)?;
            // What the upstream says that it cannot read it need not be sent: it could end the connection.
            if size.bytes > lease.takes() && HeadSize::of_request(&request).bytes > lease.takes() {
                lease.oversize(Oversize::Request);
                return Err(unsent(Kind::UpstreamHeadLimit.into()));
            }
            if let Some(Withheld(lines)) = request.extensions_mut().remove() {
                record.withheld(lines);
            }
            // Not before: a client that waits to be told to send its body is told by this.
            poll_fn(|cx| Poll::Ready(upload.borrow_mut().gather(cx))).await.map_err(unproven)?;
            let clocks = self.clocks(context, at);
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

impl Upstream {
    /// The right to one stream, if it may be asked more. `risky`: the request may cost the connection.
    async fn lease(&self, risky: bool, record: &Rc<Record>) -> Result<Lease, Error> {
        let pool = self.pool.pool_for(risky);
        let Some(limit) = &self.limit else { return pool.lease(record).await };
        let limit_guard = limit.enter().ok_or(Kind::UpstreamBusy)?;
        let mut lease = pool.lease(record).await?;
        lease.hold(limit_guard);
        Ok(lease)
    }
}

fn unsent(error: Error) -> Attempt {
    Attempt { error, failure: Failure::Unsent }
}

fn unproven(error: Error) -> Attempt {
    Attempt { error, failure: Failure::Unknown }
}
