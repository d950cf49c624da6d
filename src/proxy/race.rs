//! Two upstreams are asked where the first is late: the first answer counts, and the other request is
//! cancelled in the same turn.

use std::cell::RefCell;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use http::header::EXPECT;

use super::Proxy;
use super::travel::{Raced, Tried, Trip};
use crate::config::UpstreamId;
use crate::record::{FailoverReason, Hedge, Prevented};
use crate::relay::{Deadline, Upload};
use crate::route::{Hedging, Way, name_of};

/// Which of two was done, and with what.
enum Done {
    First(Tried),
    Second(Tried),
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
    pub(super) async fn race(
        &self,
        trip: &Trip<'_>,
        first: UpstreamId,
        way: &mut Way<'_>,
        hedging: &Hedging,
    ) -> Raced {
        let began = Instant::now();
        // A body that is still on its way is not the upstream's delay.
        let since = || began.max(trip.upload.borrow().progress());
        let mut first = pin!(self.attempt(trip, first));
        let delay = hedging.delay(began);
        let mut late = Deadline::default();
        let early = std::future::poll_fn(|cx| match first.as_mut().poll(cx) {
            Poll::Ready(tried) => Poll::Ready(Some(tried)),
            Poll::Pending => late.poll(cx, since() + delay).map(|()| None),
        });
        if let Some(tried) = early.await {
            saw(hedging, &tried, since());
            return Raced::alone(tried);
        }
        let Some(second) = self.second(trip, way, hedging, began.elapsed()).await else {
            let tried = first.await;
            saw(hedging, &tried, since());
            return Raced::alone(tried);
        };
        let Second { at, upload, mut hedge } = second;
        let upload = RefCell::new(upload);
        let own = hedge.record().clone();
        let beside = Trip { upload: &upload, record: &own, ..*trip };
        // Boxed: most first ones are in time, and need no room for it.
        let mut second = Box::pin(self.attempt(&beside, at));
        let (last, before) = match either(first.as_mut(), second.as_mut()).await {
            Done::First(tried) if tried.is_answer() => {
                hedge.overtaken();
                saw(hedging, &tried, since());
                (tried, None)
            }
            Done::First(tried) => {
                hedge.first_failed(tried.reason());
                let last = second.await;
                if last.is_answer() {
                    hedge.answered();
                } else {
                    hedge.failed();
                }
                // What is left of the body goes where the answer is from.
                trip.upload.swap(&upload);
                (last, Some(Box::new(tried)))
            }
            Done::Second(tried) if tried.is_answer() => {
                hedge.answered();
                let now = Instant::now();
                hedging.saw(now, now.saturating_duration_since(since()));
                trip.upload.swap(&upload);
                (tried, None)
            }
            Done::Second(tried) => {
                hedge.failed();
                let last = first.await;
                saw(hedging, &last, since());
                (last, Some(Box::new(tried)))
            }
        };
        Raced { last, before, hedged: true }
    }

    /// Somebody else to ask, who is well; with the whole body, and within the budget. What stands against
    /// it is recorded.
    async fn second(
        &self,
        trip: &Trip<'_>,
        way: &mut Way<'_>,
        hedging: &Hedging,
        after: Duration,
    ) -> Option<Second> {
        // Not one on trial either: overtaken, it would have proved nothing.
        let well = |id: UpstreamId| self.allows(id) && !self.upstreams[id.0].ward.is_ejected();
        let load = |id: UpstreamId| self.upstreams[id.0].pool.load();
        let beside = way.beside(well, load)?;
        if !trip.head.headers.contains_key(EXPECT) {
            // It may not have been read because the first one does not take it. A client that waits to be
            // told to send its body would be told by this.
            let read = |cx: &mut Context<'_>| trip.upload.borrow_mut().read_ahead(cx);
            while std::future::poll_fn(|cx| Poll::Ready(read(cx))).await {
                tokio::task::yield_now().await;
            }
        }
        let Some(upload) = trip.upload.borrow().twin() else {
            trip.record.attempt_prevented(Prevented::HedgeBody);
            return None;
        };
        if !hedging.afford() {
            trip.record.attempt_prevented(Prevented::HedgeBudget);
            return None;
        }
        let at = way.take_beside(beside);
        Some(Second { at, upload, hedge: Hedge::send(trip.record, at.0, after) })
    }
}

/// The one that is ready first; the first one where both are.
async fn either(
    mut first: Pin<&mut impl Future<Output = Tried>>,
    mut second: Pin<&mut impl Future<Output = Tried>>,
) -> Done {
    std::future::poll_fn(|cx| {
        if let Poll::Ready(tried) = first.as_mut().poll(cx) {
            return Poll::Ready(Done::First(tried));
        }
        second.as_mut().poll(cx).map(Done::Second)
    })
    .await
}

/// How long the first byte of one that is no hedge took since `since`. A failure says nothing of it, and
/// a quick refusal is no answer.
fn saw(hedging: &Hedging, tried: &Tried, since: Instant) {
    if let Ok(answer) = &tried.came
        && answer.head.status.is_success()
    {
        let took = answer.source.read_at().saturating_duration_since(since);
        hedging.saw(Instant::now(), took);
    }
}

impl Tried {
    /// What came is an answer that the client gets.
    fn is_answer(&self) -> bool {
        self.came.is_ok() && self.leads_on.is_none()
    }

    fn reason(&self) -> FailoverReason {
        match (self.leads_on, &self.came) {
            (Some(reason), _) => reason,
            (None, Err(failed)) => name_of(failed.error.kind(), failed.failure),
            (None, Ok(_)) => FailoverReason::Status,
        }
    }
}
