//! A request's way through its route's group: from one upstream to the next, until one answers.
//!
//! All of it happens before the first byte for the client. An answer that leads on (a 429, say) is not
//! thrown away before there is a better one: if nobody else answers, it is what the client gets, since
//! the upstream's own words say more than ours.

use std::rc::Rc;
use std::time::{Instant, SystemTime};

use http::request;

use super::Proxy;
use crate::config::{RouteId, UpstreamId};
use crate::error::{Error, Kind};
use crate::record::{Prevented, Record};
use crate::relay::{Answer, Attempt, Clocks, Upload};
use crate::route::{Match, Way, after_answer, after_failure, asked_pause};

/// Somebody answered.
pub(super) struct Reached {
    pub(super) upstream: UpstreamId,
    pub(super) answer: Answer,
    /// One of a group: the client is told which.
    pub(super) by_group: bool,
    /// Those that go on running.
    pub(super) clocks: Clocks,
}

impl Proxy {
    /// Asks the members of a route's group in turn, and again after a pause where the operator wants
    /// that. Whoever is asked gets a head made for it alone and the whole body from its beginning.
    /// `until` is the end of the client's own time.
    pub(super) async fn travel(
        &self,
        head: &request::Parts,
        route: Match<'_>,
        until: Option<Instant>,
        upload: &mut Upload,
        record: &Rc<Record>,
    ) -> Result<Reached, Error> {
        // Both are there in every configuration that was checked.
        let group = self.groups.get(route.target).ok_or(Kind::Internal)?;
        let mut way = group.set_out(&head.headers);
        let allowed = |id: UpstreamId| !group.is_named || self.allows(id);
        let load = |id: UpstreamId| self.upstreams[id.0].pool.load();
        let Some(mut at) = way.next(allowed, load) else {
            record.on_route(route.route.0);
            return Err(Kind::AllEjected.into());
        };
        record.routed(route.route.0, at.0);
        // Boxed: nearly no request has one, and every request in flight would hold room for it.
        let mut passed: Option<Box<Reached>> = None;
        loop {
            let clocks = self.clocks(at, route.route, group.failover_on.first_frame_timeout);
            let began = Instant::now();
            self.asked(at, began);
            let asked = self.ask(at, head, route.prefix, clocks, upload, record).await;
            if group.is_named {
                self.judge(at, group, began, &asked);
            }
            let reason = match &asked {
                Ok(answer) => after_answer(answer.head.status, &group.failover_on),
                Err(failed) => {
                    after_failure(failed.error.kind(), failed.failure, &group.failover_on)
                }
            };
            if reason.is_some()
                && let Ok(answer) = &asked
                && let Some(pause) = asked_pause(&answer.head.headers, SystemTime::now())
            {
                way.rest(Instant::now() + pause);
            }
            let next = reason.and_then(|reason| {
                let (to, when) = onward(&mut way, allowed, load, until, upload, record)?;
                Some((reason, to, when))
            });
            let by_group = group.is_named;
            let answered = asked.map(|answer| Reached { upstream: at, answer, by_group, clocks });
            let Some((reason, to, when)) = next else { return last(answered, passed, record) };
            if let Some(worse) = answered.ok().and_then(|answer| keep(&mut passed, answer)) {
                worse.answer.source.pass_over();
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
}

/// Who is asked next, and when if not at once; `None` where nobody is. The body begins again from its
/// first byte: where that is gone, whoever came next could only get the rest.
fn onward(
    way: &mut Way<'_>,
    allowed: impl Fn(UpstreamId) -> bool + Copy,
    load: impl Fn(UpstreamId) -> u64 + Copy,
    until: Option<Instant>,
    upload: &mut Upload,
    record: &Record,
) -> Option<(UpstreamId, Option<Instant>)> {
    let next = match way.next(allowed, load) {
        Some(to) => Ok(Some((to, None))),
        None => way
            .again(Instant::now(), until)
            .map(|when| when.and_then(|when| Some((way.next(allowed, load)?, Some(when))))),
    };
    let why = match next {
        Ok(Some(next)) if upload.rewind() => return Some(next),
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
            if let Some(worse) = passed {
                worse.answer.source.pass_over();
            }
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
