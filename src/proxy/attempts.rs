//! A request's way through its route's group: from one upstream to the next, until one answers.
//!
//! All of it happens before the first byte for the client. An answer that leads on (a 429, say) is not
//! thrown away before there is a better one: if nobody else answers, it is what the client gets, since
//! the upstream's own words say more than ours.

use std::ops::ControlFlow;
use std::time::{Instant, SystemTime};

use super::Proxy;
use super::attempt::Attempted;
use super::context::RoutedRequest;
use super::hedge::HedgeResult;
use crate::config::{RouteId, UpstreamId};
use crate::error::{Error, Kind};
use crate::record::{FailoverReason, Prevented, Record};
use crate::relay::{Answer, Attempt, Clocks};
use crate::route::{Group, Selection, retry_after};

/// Somebody answered.
pub(super) struct Answered {
    pub(super) upstream: UpstreamId,
    pub(super) answer: Answer,
    /// One of a group: the client is told which.
    pub(super) by_group: bool,
    /// Those that go on running.
    pub(super) clocks: Clocks,
    /// What is done with the answer is said there.
    pub(super) route: RouteId,
}

/// Who is asked next, and why.
struct NextAttempt {
    reason: FailoverReason,
    to: UpstreamId,
    /// Not at once, but then.
    when: Option<Instant>,
}

impl Proxy {
    /// Asks the members of a route's group in turn, and again after a pause where the operator wants
    /// that. Whoever is asked gets a head made for it alone and the whole body from its beginning.
    pub(super) async fn failover(&self, routed: &RoutedRequest<'_>) -> Result<Answered, Error> {
        let (group, record) = (routed.group, routed.context.record);
        let mut selection = group.select(&routed.context.head.headers);
        let Some(mut at) = self.next(&mut selection, group) else {
            record.on_route(routed.route.route);
            return Err(Kind::AllEjected.into());
        };
        record.routed(routed.route.route, at);
        // Boxed: nearly no request has one, and every request in flight would hold room for it.
        let mut passed: Option<Box<Answered>> = None;
        let mut hedging = group.hedging.as_deref();
        loop {
            let hedge_result = match hedging {
                None => HedgeResult::alone(self.attempt(routed, at).await),
                // Boxed, so that those who do not hedge have no room for it.
                Some(hedging) => Box::pin(self.hedge(routed, at, &mut selection, hedging)).await,
            };
            if hedge_result.hedged {
                hedging = None; // once for each request
            }
            let weighed = self.decide(hedge_result, &mut selection, &mut passed, routed);
            let NextAttempt { reason, to, when } = match weighed {
                ControlFlow::Break(over) => return over,
                ControlFlow::Continue(next_attempt) => next_attempt,
            };
            match when {
                None => record.failed_over(to, reason),
                Some(when) => {
                    let began = Instant::now();
                    tokio::time::sleep_until(when.into()).await;
                    record.retried(to, reason, began.elapsed());
                }
            }
            at = to;
        }
    }

    /// Whether what came is the client's. It waits for nothing, so that no answer lies in a future that
    /// does.
    fn decide(
        &self,
        hedge_result: HedgeResult,
        selection: &mut Selection<'_>,
        passed: &mut Option<Box<Answered>>,
        routed: &RoutedRequest<'_>,
    ) -> ControlFlow<Result<Answered, Error>, NextAttempt> {
        let next = self.next_attempt(&hedge_result, selection, passed.is_some(), routed);
        let (by_group, route) = (routed.group.is_named, routed.route.route);
        let reached = |Attempted { at, result, .. }: Attempted| {
            let clocks = self.clocks(routed, at);
            result.map(|answer| Answered { upstream: at, answer, by_group, clocks, route })
        };
        if let Some(before) = hedge_result.before
            && let Ok(answer) = reached(*before)
        {
            discard(keep(passed, answer));
        }
        let answered = reached(hedge_result.last);
        let Some(next_attempt) = next else {
            return ControlFlow::Break(last(answered, passed.take(), routed.context.record));
        };
        if let Ok(answer) = answered {
            discard(keep(passed, answer));
        }
        ControlFlow::Continue(next_attempt)
    }

    fn next(&self, selection: &mut Selection<'_>, group: &Group) -> Option<UpstreamId> {
        selection.next(self.allowed(group), |id| self.upstreams[id.0].pool.load())
    }

    fn allowed(&self, group: &Group) -> impl Fn(UpstreamId) -> bool {
        let is_named = group.is_named;
        move |id| !is_named || self.allows(id)
    }

    /// Who is asked next; `None` where nobody is. Nobody after a failure that does not lead on, be it of
    /// one of two. The body begins again from its first byte: where that is gone, whoever came next could
    /// only get the rest. `answered`: some answer could be given, and no ejected member need be
    /// tried; nor where there was no room, for what is refused for that must not crowd the ill.
    fn next_attempt(
        &self,
        hedge_result: &HedgeResult,
        selection: &mut Selection<'_>,
        answered: bool,
        routed: &RoutedRequest<'_>,
    ) -> Option<NextAttempt> {
        for attempted in hedge_result.each() {
            attempted.leads_on?;
            let pause = match &attempted.result {
                Ok(answer) => retry_after(&answer.head.headers, SystemTime::now()),
                Err(failed) if failed.error.kind() == Kind::UpstreamRateLimited => {
                    failed.error.retry_after()
                }
                Err(_) => None,
            };
            if let Some(pause) = pause {
                selection.rest(attempted.at, Instant::now() + pause);
            }
        }
        let reason = hedge_result.last.leads_on?;
        let final_word = answered || hedge_result.answered() || hedge_result.lacked_room();
        let next = self.next(selection, routed.group);
        let load = |id: UpstreamId| self.upstreams[id.0].pool.load();
        let next =
            match next.or_else(|| if final_word { None } else { selection.last_resort(load) }) {
                Some(to) => Ok(Some(NextAttempt { reason, to, when: None })),
                None => selection
                    .again(self.allowed(routed.group), Instant::now(), routed.context.until)
                    .map(|when| {
                        when.and_then(|when| {
                            let to = self.next(selection, routed.group)?;
                            Some(NextAttempt { reason, to, when: Some(when) })
                        })
                    }),
            };
        let why = match next {
            Ok(Some(next)) if routed.upload.borrow_mut().rewind() => return Some(next),
            Ok(Some(_)) => Prevented::Body,
            Ok(None) => return None,
            Err(why) => why,
        };
        routed.context.record.attempt_prevented(why);
        None
    }
}

fn discard(worse: Option<Box<Answered>>) {
    if let Some(worse) = worse {
        worse.answer.source.discard();
    }
}

/// Nobody else is asked: what the last one said, or what was passed over before it failed.
fn last(
    answered: Result<Answered, Attempt>,
    passed: Option<Box<Answered>>,
    record: &Record,
) -> Result<Answered, Error> {
    match (answered, passed) {
        (Ok(reached), passed) => {
            discard(passed);
            Ok(reached)
        }
        (Err(_), Some(fallback)) => {
            record.fell_back(fallback.upstream, fallback.answer.source.version());
            Ok(*fallback)
        }
        (Err(failed), None) => Err(failed.error),
    }
}

/// Keeps an answer in case nobody gives a better one; what need not be kept is given back. Where the
/// request's body was not all taken, it goes elsewhere now, and the answer would be cut for it.
fn keep(passed: &mut Option<Box<Answered>>, answer: Answered) -> Option<Box<Answered>> {
    if answer.answer.sink.is_closed() { passed.replace(Box::new(answer)) } else { None }
}
