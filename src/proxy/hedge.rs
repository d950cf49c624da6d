//! Two upstreams are asked where the first is late: the first answer counts, and the other request is
//! cancelled in the same turn.

use std::cell::RefCell;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use http::header::EXPECT;

use super::Proxy;
use super::attempt::Attempted;
use super::context::{RequestContext, RoutedRequest};
use crate::config::UpstreamId;
use crate::error::Kind;
use crate::record::{FailoverReason, Hedge, Prevented};
use crate::relay::{Attempt, Deadline, Upload};
use crate::route::{Hedging, Selection};

/// What came of asking one upstream, or two at once.
pub(super) struct HedgeResult {
    /// The one that counts: an answer, or who failed last.
    pub(super) last: Attempted,
    /// The one of two that failed while the other went on.
    pub(super) before: Option<Box<Attempted>>,
    /// Two were asked.
    pub(super) hedged: bool,
}

/// Which of two was done, and with what.
enum Done {
    First(Attempted),
    Second(Attempted),
}

/// Who is asked beside the first, and with what.
struct Second {
    at: UpstreamId,
    upload: Upload,
    hedge: Hedge,
}

impl Proxy {
    /// Asks `first`, and, if its first byte is late, another member beside it. Dropped, it resets both
    /// streams at once.
    pub(super) async fn hedge(
        &self,
        routed: &RoutedRequest<'_>,
        first: UpstreamId,
        selection: &mut Selection<'_>,
        hedging: &Hedging,
    ) -> HedgeResult {
        let began = Instant::now();
        // A body that is still on its way is not the upstream's delay.
        let since = || began.max(routed.upload.borrow().progress());
        let mut first = pin!(self.attempt(routed, first));
        let delay = hedging.delay(began);
        let mut late = Deadline::default();
        let early = std::future::poll_fn(|cx| match first.as_mut().poll(cx) {
            Poll::Ready(attempted) => Poll::Ready(Some(attempted)),
            Poll::Pending => late.poll(cx, since() + delay).map(|()| None),
        });
        if let Some(attempted) = early.await {
            saw(hedging, &attempted, since());
            return HedgeResult::alone(attempted);
        }
        let Some(second) = self.second(routed, selection, hedging, began.elapsed()).await else {
            let attempted = first.await;
            saw(hedging, &attempted, since());
            return HedgeResult::alone(attempted);
        };
        let Second { at, upload, mut hedge } = second;
        let upload = RefCell::new(upload);
        let own = hedge.record().clone();
        let context = RequestContext { record: &own, ..*routed.context };
        let beside = RoutedRequest { context: &context, upload: &upload, ..*routed };
        // Boxed: most first ones are in time, and need no room for it.
        let mut second = Box::pin(self.attempt(&beside, at));
        let (last, before) = match either(first.as_mut(), second.as_mut()).await {
            Done::First(attempted) if attempted.is_answer() => {
                hedge.overtaken();
                saw(hedging, &attempted, since());
                (attempted, None)
            }
            Done::First(attempted) => {
                hedge.first_failed(attempted.reason());
                let last = second.await;
                if last.is_answer() {
                    hedge.answered();
                } else {
                    hedge.failed();
                }
                // What is left of the body goes where the answer is from.
                routed.upload.swap(&upload);
                (last, Some(Box::new(attempted)))
            }
            Done::Second(attempted) if attempted.is_answer() => {
                hedge.answered();
                let now = Instant::now();
                hedging.saw(now, now.saturating_duration_since(since()));
                routed.upload.swap(&upload);
                (attempted, None)
            }
            Done::Second(attempted) => {
                hedge.failed();
                let last = first.await;
                saw(hedging, &last, since());
                (last, Some(Box::new(attempted)))
            }
        };
        HedgeResult { last, before, hedged: true }
    }

    /// Somebody else to ask, who is well; with the whole body, and within the budget. What stands against
    /// it is recorded.
    async fn second(
        &self,
        routed: &RoutedRequest<'_>,
        selection: &mut Selection<'_>,
        hedging: &Hedging,
        after: Duration,
    ) -> Option<Second> {
        // Not one on trial either: overtaken, it would have proved nothing.
        let well = |id: UpstreamId| {
            self.allows(id) && !self.upstreams[id.0].health.is_ejected() && !self.is_shut(id)
        };
        let load = |id: UpstreamId| self.upstreams[id.0].pool.load();
        let beside = selection.hedge_target(well, load)?;
        if !routed.context.head.headers.contains_key(EXPECT) {
            // It may not have been read because the first one does not take it. A client that waits to be
            // told to send its body would be told by this.
            let read = |cx: &mut Context<'_>| routed.upload.borrow_mut().read_ahead(cx);
            while std::future::poll_fn(|cx| Poll::Ready(read(cx))).await {
                tokio::task::yield_now().await;
            }
        }
        let Some(upload) = routed.upload.borrow().twin() else {
            routed.context.record.attempt_prevented(Prevented::HedgeBody);
            return None;
        };
        if !hedging.afford() {
            routed.context.record.attempt_prevented(Prevented::HedgeBudget);
            return None;
        }
        let at = selection.take_hedge_target(beside);
        Some(Second { at, upload, hedge: Hedge::send(routed.context.record, at, after) })
    }
}

impl HedgeResult {
    /// Nobody else was asked.
    pub(super) fn alone(last: Attempted) -> Self {
        Self { last, before: None, hedged: false }
    }

    pub(super) fn answered(&self) -> bool {
        self.each().any(|attempted| attempted.result.is_ok())
    }

    /// A bound of our own was met, not a failure of theirs.
    pub(super) fn lacked_room(&self) -> bool {
        let local = |failed: &Attempt| {
            matches!(failed.error.kind(), Kind::LocalLimit | Kind::UpstreamRateLimited)
        };
        self.each().any(|attempted| {
            attempted.leads_on == Some(FailoverReason::Queue)
                || attempted.result.as_ref().is_err_and(local)
        })
    }

    pub(super) fn each(&self) -> impl Iterator<Item = &Attempted> {
        self.before.as_deref().into_iter().chain([&self.last])
    }
}

/// The one that is ready first; the first one where both are.
async fn either(
    mut first: Pin<&mut impl Future<Output = Attempted>>,
    mut second: Pin<&mut impl Future<Output = Attempted>>,
) -> Done {
    std::future::poll_fn(|cx| {
        if let Poll::Ready(attempted) = first.as_mut().poll(cx) {
            return Poll::Ready(Done::First(attempted));
        }
        second.as_mut().poll(cx).map(Done::Second)
    })
    .await
}

/// How long the first byte of one that is no hedge took since `since`. A failure says nothing of it, and
/// a quick refusal is no answer.
fn saw(hedging: &Hedging, attempted: &Attempted, since: Instant) {
    if let Ok(answer) = &attempted.result
        && answer.head.status.is_success()
    {
        let took = answer.source.read_at().saturating_duration_since(since);
        hedging.saw(Instant::now(), took);
    }
}
