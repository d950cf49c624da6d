//! A request's way through its route's group: from one upstream to the next, until one answers.
//!
//! All of it happens before the first byte for the client. An answer that leads on (a 429, say) is not
//! thrown away before there is a better one: if nobody else answers, it is what the client gets, since
//! the upstream's own words say more than ours.

use std::cell::RefCell;
use std::ops::ControlFlow;
use std::rc::Rc;
use std::time::{Instant, SystemTime};

use http::request;

use super::Proxy;
use crate::config::UpstreamId;
use crate::error::{Error, Kind};
use crate::record::{FailoverReason, Prevented, Record};
use crate::relay::{Answer, Attempt, Clocks, Upload};
use crate::route::{Group, Match, Selection, after_answer, after_failure, retry_after};
use crate::upstream::HeadScan;

/// A request on its way, as whoever is asked needs it.
#[derive(Clone, Copy)]
pub(super) struct RequestContext<'a> {
    /// As the client sent it.
    pub(super) head: &'a request::Parts,
    /// What its lines are.
    pub(super) scan: HeadScan,
    pub(super) route: Match<'a>,
    pub(super) group: &'a Group,
    /// The end of the client's own time.
    pub(super) until: Option<Instant>,
    pub(super) upload: &'a RefCell<Upload>,
    pub(super) record: &'a Rc<Record>,
}

/// Somebody answered.
pub(super) struct Answered {
    pub(super) upstream: UpstreamId,
    pub(super) answer: Answer,
    /// One of a group: the client is told which.
    pub(super) by_group: bool,
    /// Those that go on running.
    pub(super) clocks: Clocks,
}

/// What came of asking one upstream.
pub(super) struct Attempted {
    pub(super) at: UpstreamId,
    pub(super) result: Result<Answer, Attempt>,
    /// Why the next one may be asked; `None` where what came is the client's.
    pub(super) leads_on: Option<FailoverReason>,
}

/// What came of asking one upstream, or two at once.
pub(super) struct HedgeResult {
    /// The one that counts: an answer, or who failed last.
    pub(super) last: Attempted,
    /// The one of two that failed while the other went on.
    pub(super) before: Option<Box<Attempted>>,
    /// Two were asked.
    pub(super) hedged: bool,
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
    pub(super) async fn failover(&self, context: &RequestContext<'_>) -> Result<Answered, Error> {
        let (group, record) = (context.group, context.record);
        let mut selection = group.select(&context.head.headers);
        let Some(mut at) = self.next(&mut selection, group) else {
            record.on_route(context.route.route);
            return Err(Kind::AllEjected.into());
        };
        record.routed(context.route.route, at);
        // Boxed: nearly no request has one, and every request in flight would hold room for it.
        let mut passed: Option<Box<Answered>> = None;
        let mut hedging = group.hedging.as_deref();
        loop {
            let hedge_result = match hedging {
                None => HedgeResult::alone(self.attempt(context, at).await),
                // Boxed, so that those who do not hedge have no room for it.
                Some(hedging) => Box::pin(self.hedge(context, at, &mut selection, hedging)).await,
            };
            if hedge_result.hedged {
                hedging = None; // once for each request
            }
            let weighed = self.decide(hedge_result, &mut selection, &mut passed, context);
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
        context: &RequestContext<'_>,
    ) -> ControlFlow<Result<Answered, Error>, NextAttempt> {
        let next = self.next_attempt(&hedge_result, selection, passed.is_some(), context);
        let by_group = context.group.is_named;
        let reached = |Attempted { at, result, .. }: Attempted| {
            let clocks = self.clocks(context, at);
            result.map(|answer| Answered { upstream: at, answer, by_group, clocks })
        };
        if let Some(before) = hedge_result.before
            && let Ok(answer) = reached(*before)
        {
            discard(keep(passed, answer));
        }
        let answered = reached(hedge_result.last);
        let Some(next_attempt) = next else {
            return ControlFlow::Break(last(answered, passed.take(), context.record));
        };
        if let Ok(answer) = answered {
            discard(keep(passed, answer));
        }
        ControlFlow::Continue(next_attempt)
    }

    /// Asks one upstream. Dropped, it resets the stream at once.
    pub(super) async fn attempt(&self, context: &RequestContext<'_>, at: UpstreamId) -> Attempted {
        let (began, group) = (Instant::now(), context.group);
        if group.is_named {
            self.asked(at, began);
        }
        let result = self.send_with_replay(context, at).await;
        if group.is_named {
            self.report_health(at, group, began, &result);
        }
        let leads_on = match &result {
            Ok(answer) => after_answer(answer.head.status, &group.failover_on),
            Err(failed) => after_failure(failed.error.kind(), failed.failure, &group.failover_on),
        };
        Attempted { at, result, leads_on }
    }
}

impl HedgeResult {
    /// Nobody else was asked.
    pub(super) fn alone(last: Attempted) -> Self {
        Self { last, before: None, hedged: false }
    }

    fn answered(&self) -> bool {
        self.each().any(|attempted| attempted.result.is_ok())
    }

    /// A bound of our own was met, not a failure of theirs.
    fn lacked_room(&self) -> bool {
        let local = |failed: &Attempt| failed.error.kind() == Kind::LocalLimit;
        self.each().any(|attempted| {
            attempted.leads_on == Some(FailoverReason::Queue)
                || attempted.result.as_ref().is_err_and(local)
        })
    }

    fn each(&self) -> impl Iterator<Item = &Attempted> {
        self.before.as_deref().into_iter().chain([&self.last])
    }
}

impl Proxy {
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
        context: &RequestContext<'_>,
    ) -> Option<NextAttempt> {
        for attempted in hedge_result.each() {
            attempted.leads_on?;
            if let Ok(answer) = &attempted.result
                && let Some(pause) = retry_after(&answer.head.headers, SystemTime::now())
            {
                selection.rest(attempted.at, Instant::now() + pause);
            }
        }
        let reason = hedge_result.last.leads_on?;
        let final_word = answered || hedge_result.answered() || hedge_result.lacked_room();
        let next = self.next(selection, context.group);
        let load = |id: UpstreamId| self.upstreams[id.0].pool.load();
        let next =
            match next.or_else(|| if final_word { None } else { selection.last_resort(load) }) {
                Some(to) => Ok(Some(NextAttempt { reason, to, when: None })),
                None => selection
                    .again(self.allowed(context.group), Instant::now(), context.until)
                    .map(|when| {
                        when.and_then(|when| {
                            let to = self.next(selection, context.group)?;
                            Some(NextAttempt { reason, to, when: Some(when) })
                        })
                    }),
            };
        let why = match next {
            Ok(Some(next)) if context.upload.borrow_mut().rewind() => return Some(next),
            Ok(Some(_)) => Prevented::Body,
            Ok(None) => return None,
            Err(why) => why,
        };
        context.record.attempt_prevented(why);
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

impl Proxy {
    /// The upstream's clocks, or the route's own in their place.
    pub(super) fn clocks(&self, context: &RequestContext<'_>, upstream: UpstreamId) -> Clocks {
        let upstream = &self.config.upstreams[upstream.0].deadlines;
        let route = &self.config.routes[context.route.route.0].deadlines;
        Clocks {
            head: route.response_head.unwrap_or(upstream.response_head),
            first_frame: route.first_frame.unwrap_or(upstream.first_frame),
            gap: route.frame_gap.unwrap_or(upstream.frame_gap),
            hold_head: context.group.failover_on.first_frame_timeout,
        }
    }
}

/// Keeps an answer in case nobody gives a better one; what need not be kept is given back. Where the
/// request's body was not all taken, it goes elsewhere now, and the answer would be cut for it.
fn keep(passed: &mut Option<Box<Answered>>, answer: Answered) -> Option<Box<Answered>> {
    if answer.answer.sink.is_closed() { passed.replace(Box::new(answer)) } else { None }
}
