//! A request's way through its route's group: from one upstream to the next, until one answers.
//!
//! All of it happens before the first byte for the client. An answer that leads on (a 429, say) is not
//! thrown away before there is a better one: if nobody else answers, it is what the client gets, since
//! the upstream's own words say more than ours.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Instant, SystemTime};

use http::request;

use super::Proxy;
use crate::config::{RouteId, UpstreamId};
use crate::error::{Error, Kind};
use crate::record::{FailoverReason, Prevented, Record};
use crate::relay::{Answer, Attempt, Clocks, Upload};
use crate::route::{Group, Match, Way, after_answer, after_failure, asked_pause};

/// A request on its way, as whoever is asked needs it.
#[derive(Clone, Copy)]
pub(super) struct Trip<'a> {
    /// As the client sent it.
    pub(super) head: &'a request::Parts,
    pub(super) route: Match<'a>,
    pub(super) group: &'a Group,
    /// The end of the client's own time.
    pub(super) until: Option<Instant>,
    pub(super) upload: &'a RefCell<Upload>,
    pub(super) record: &'a Rc<Record>,
}

/// Somebody answered.
pub(super) struct Reached {
    pub(super) upstream: UpstreamId,
    pub(super) answer: Answer,
    /// One of a group: the client is told which.
    pub(super) by_group: bool,
    /// Those that go on running.
    pub(super) clocks: Clocks,
}

/// What came of asking one upstream.
pub(super) struct Tried {
    pub(super) at: UpstreamId,
    pub(super) clocks: Clocks,
    pub(super) came: Result<Answer, Attempt>,
    /// Why the next one may be asked; `None` where what came is the client's.
    pub(super) leads_on: Option<FailoverReason>,
}

/// What came of asking one upstream, or two at once.
pub(super) struct Raced {
    /// The one that counts: an answer, or who failed last.
    pub(super) last: Tried,
    /// The one of two that failed while the other went on.
    pub(super) before: Option<Box<Tried>>,
    /// Two were asked.
    pub(super) hedged: bool,
}

impl Proxy {
    /// Asks the members of a route's group in turn, and again after a pause where the operator wants
    /// that. Whoever is asked gets a head made for it alone and the whole body from its beginning.
    pub(super) async fn travel(&self, trip: Trip<'_>) -> Result<Reached, Error> {
        let Trip { group, route, record, .. } = trip;
        let mut way = group.set_out(&trip.head.headers);
        let allowed = |id: UpstreamId| !group.is_named || self.allows(id);
        let load = |id: UpstreamId| self.upstreams[id.0].pool.load();
        let Some(mut at) = way.next(allowed, load) else {
            record.on_route(route.route.0);
            return Err(Kind::AllEjected.into());
        };
        record.routed(route.route.0, at.0);
        // Boxed: nearly no request has one, and every request in flight would hold room for it.
        let mut passed: Option<Box<Reached>> = None;
        let mut hedging = group.hedging.as_deref();
        loop {
            let raced = match hedging {
                None => Raced::alone(self.attempt(trip, at).await),
                // Boxed, so that those who do not hedge have no room for it.
                Some(hedging) => Box::pin(self.race(trip, at, &mut way, hedging)).await,
            };
            if raced.hedged {
                hedging = None; // once for each request
            }
            let next = next(&raced, &mut way, allowed, load, trip);
            let reached = |tried: Tried| reached(tried, group.is_named);
            if let Some(before) = raced.before
                && let Ok(answer) = reached(*before)
            {
                pass_over(keep(&mut passed, answer));
            }
            let answered = reached(raced.last);
            let Some((reason, to, when)) = next else { return last(answered, passed, record) };
            if let Ok(answer) = answered {
                pass_over(keep(&mut passed, answer));
            }
            match when {
                None => record.failed_over(to.0, reason),
                Some(when) => {
                    let began = Instant::now();
                    tokio::time::sleep_until(when.into()).await;
                    record.retried(to.0, reason, began.elapsed());
                }
            }
            at = to;
        }
    }

    /// Asks one upstream. Dropped, it resets the stream at once.
    pub(super) async fn attempt(&self, trip: Trip<'_>, at: UpstreamId) -> Tried {
        let Trip { head, route, group, upload, record, .. } = trip;
        let clocks = self.clocks(at, route.route, group.failover_on.first_frame_timeout);
        let began = Instant::now();
        self.asked(at, began);
        let came = self.ask(at, head, route.prefix, clocks, upload, record).await;
        if group.is_named {
            self.judge(at, group, began, &came);
        }
        let leads_on = match &came {
            Ok(answer) => after_answer(answer.head.status, &group.failover_on),
            Err(failed) => after_failure(failed.error.kind(), failed.failure, &group.failover_on),
        };
        Tried { at, clocks, came, leads_on }
    }
}

impl Raced {
    /// Nobody else was asked.
    pub(super) fn alone(last: Tried) -> Self {
        Self { last, before: None, hedged: false }
    }
}

/// Why, whom and when to ask next. Nobody after a failure that does not lead on, be it of one of two.
fn next(
    raced: &Raced,
    way: &mut Way<'_>,
    allowed: impl Fn(UpstreamId) -> bool + Copy,
    load: impl Fn(UpstreamId) -> u64 + Copy,
    trip: Trip<'_>,
) -> Option<(FailoverReason, UpstreamId, Option<Instant>)> {
    let before = raced.before.as_deref();
    for tried in before.into_iter().chain([&raced.last]) {
        tried.leads_on?;
        if let Ok(answer) = &tried.came
            && let Some(pause) = asked_pause(&answer.head.headers, SystemTime::now())
        {
            way.rest(tried.at, Instant::now() + pause);
        }
    }
    let reason = raced.last.leads_on?;
    let (to, when) = onward(way, allowed, load, trip)?;
    Some((reason, to, when))
}

fn reached(tried: Tried, by_group: bool) -> Result<Reached, Attempt> {
    let Tried { at, clocks, came, .. } = tried;
    came.map(|answer| Reached { upstream: at, answer, by_group, clocks })
}

fn pass_over(worse: Option<Box<Reached>>) {
    if let Some(worse) = worse {
        worse.answer.source.pass_over();
    }
}

/// Who is asked next, and when if not at once; `None` where nobody is. The body begins again from its
/// first byte: where that is gone, whoever came next could only get the rest.
fn onward(
    way: &mut Way<'_>,
    allowed: impl Fn(UpstreamId) -> bool + Copy,
    load: impl Fn(UpstreamId) -> u64 + Copy,
    Trip { until, upload, record, .. }: Trip<'_>,
) -> Option<(UpstreamId, Option<Instant>)> {
    let next = match way.next(allowed, load) {
        Some(to) => Ok(Some((to, None))),
        None => way
            .again(Instant::now(), until)
            .map(|when| when.and_then(|when| Some((way.next(allowed, load)?, Some(when))))),
    };
    let why = match next {
        Ok(Some(next)) if upload.borrow_mut().rewind() => return Some(next),
        Ok(Some(_)) => Prevented::Body,
        Ok(None) => return None,
        Err(why) => why,
    };
    record.attempt_prevented(why);
    None
}

/// Nobody else is asked: what the last one said, or what was passed over before it failed.
fn last(
    answered: Result<Reached, Attempt>,
    passed: Option<Box<Reached>>,
    record: &Record,
) -> Result<Reached, Error> {
    match (answered, passed) {
        (Ok(reached), passed) => {
            pass_over(passed);
            Ok(reached)
        }
        (Err(_), Some(fallback)) => {
            record.fell_back(fallback.upstream.0, fallback.answer.source.version());
            Ok(*fallback)
        }
        (Err(failed), None) => Err(failed.error),
    }
}

impl Proxy {
    /// The upstream's clocks, or the route's own in their place.
    fn clocks(&self, upstream: UpstreamId, route: RouteId, hold_head: bool) -> Clocks {
        let upstream = &self.config.upstreams[upstream.0].deadlines;
        let route = &self.config.routes[route.0].deadlines;
        Clocks {
            head: route.response_head.unwrap_or(upstream.response_head),
            first_frame: route.first_frame.unwrap_or(upstream.first_frame),
            gap: route.frame_gap.unwrap_or(upstream.frame_gap),
            hold_head,
        }
    }
}

/// Keeps an answer in case nobody gives a better one; what need not be kept is given back. Where the
/// request's body was not all taken, it goes elsewhere now, and the answer would be cut for it.
fn keep(passed: &mut Option<Box<Reached>>, answer: Reached) -> Option<Box<Reached>> {
    if answer.answer.sink.is_closed() { passed.replace(Box::new(answer)) } else { None }
}
