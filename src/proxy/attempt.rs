//! One upstream is asked.

use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;
use std::time::Instant;

use super::adapt::{full, heard};
use super::context::{RequestContext, RoutedRequest};
use super::{Proxy, Upstream};
use crate::config::{Forwarded, UpstreamId};
use crate::error::{Error, Kind};
use crate::record::{FailoverReason, Oversize, Record};
use crate::relay::head::{Withheld, is_large, most_forwarded, speaks_of_trailers, tell_forwarded};
use crate::relay::replay::{Replay, Seen, decide};
use crate::relay::{Answer, Attempt, Clocks, exchange};
use crate::route::{after_answer, after_failure, name_of};
use crate::upstream::{Failure, HeadSize, Lease, Marks};

/// What came of asking one upstream.
pub(super) struct Attempted {
    pub(super) at: UpstreamId,
    pub(super) result: Result<Answer, Attempt>,
    /// Why the next one may be asked; `None` where what came is the client's.
    pub(super) leads_on: Option<FailoverReason>,
}

impl Proxy {
    /// Asks one upstream. Dropped, it resets the stream at once.
    pub(super) async fn attempt(&self, routed: &RoutedRequest<'_>, at: UpstreamId) -> Attempted {
        let (began, group) = (Instant::now(), routed.group);
        if group.is_named {
            self.asked(at, began);
        }
        let result = self.send_with_replay(routed, at).await;
        if let Err(failed) = &result
            && failed.error.kind() != Kind::ClientDeadline
        {
            routed.context.record.upstream_failed(&failed.error);
        }
        if group.is_named {
            self.report_health(at, group, began, &result);
        }
        let leads_on = match &result {
            Ok(answer) => after_answer(answer.head.status, &group.failover_on),
            Err(failed) => after_failure(failed.error.kind(), failed.failure, &group.failover_on),
        };
        Attempted { at, result, leads_on }
    }

    /// Sends the request to one upstream until an answer begins or a failure must be told: again only
    /// if it provably was not processed.
    async fn send_with_replay(
        &self,
        routed: &RoutedRequest<'_>,
        at: UpstreamId,
    ) -> Result<Answer, Attempt> {
        let RoutedRequest { context, route, upload, .. } = *routed;
        let RequestContext { client, head, scan, record, .. } = *context;
        let upstream = &self.upstreams[at.0];
        let mut replays = 0;
        let forwarded = self.config.upstreams[at.0].forwarded;
        let size = upstream.head.most(head, scan).and(most_forwarded(forwarded, head));
        let trails = scan.marks.any(Marks::HOP_BY_HOP)
            && upload.borrow().may_trail()
            && speaks_of_trailers(&head.headers);
        let risky = trails || is_large(head, size);
        loop {
            let lease = upstream.lease(risky, record).await.map_err(unsent)?;
            let asking = self.asking(routed, at);
            // From the client's own head each time: what one upstream is told, its key above all, is
            // nothing that another sees.
            let mut request = upstream
                .head
                .request(head.clone(), scan, route.prefix, lease.version())
                .map_err(unsent)?;
            if forwarded != Forwarded::Off {
                let came = client.came(&head.headers, &self.config.trusted_proxies);
                tell_forwarded(request.headers_mut(), forwarded, head, came);
            }
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
            let clocks = self.clocks(routed, at);
            let hints = &context.client.hints;
            let attempt = match exchange(lease, request, upload, clocks, record, hints).await {
                Ok(answer) => return Ok(heard(asking, answer, upload)),
                Err(attempt) => attempt,
            };
            if let Some(asking) = asking {
                asking.failed(attempt.error.kind());
            }
            let kept = upload.borrow().kept();
            match decide(attempt.failure, Seen::Nothing, kept, replays) {
                Replay::Yes(reason) if upload.borrow_mut().rewind() => record.replayed(reason),
                _ => return Err(attempt),
            }
            replays += 1;
        }
    }

    /// The upstream's clocks, or the route's own in their place.
    pub(super) fn clocks(&self, routed: &RoutedRequest<'_>, upstream: UpstreamId) -> Clocks {
        let upstream = &self.config.upstreams[upstream.0].deadlines;
        let route = &self.config.routes[routed.route.route.0].deadlines;
        Clocks {
            head: route.response_head.unwrap_or(upstream.response_head),
            first_frame: route.first_frame.unwrap_or(upstream.first_frame),
            gap: route.frame_gap.unwrap_or(upstream.frame_gap),
            hold_head: routed.group.failover_on.first_frame_timeout,
        }
    }
}

impl Attempted {
    /// What came is an answer that the client gets.
    pub(super) fn is_answer(&self) -> bool {
        self.result.is_ok() && self.leads_on.is_none()
    }

    pub(super) fn reason(&self) -> FailoverReason {
        match (self.leads_on, &self.result) {
            (Some(reason), _) => reason,
            (None, Err(failed)) => name_of(failed.error.kind(), failed.failure),
            (None, Ok(_)) => FailoverReason::Status,
        }
    }
}

impl Upstream {
    /// The right to one stream, if it may be asked more. `risky`: the request may cost the connection.
    async fn lease(&self, risky: bool, record: &Rc<Record>) -> Result<Lease, Error> {
        let pool = self.pool.pool_for(risky);
        let Some(limit) = &self.limit else { return pool.lease(record).await };
        let limit_guard = limit.enter().map_err(full)?;
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
