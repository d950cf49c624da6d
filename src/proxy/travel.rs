//! A request's way through its route's group: from one upstream to the next, until one answers.
//!
//! All of it happens before the first byte for the client. An answer that leads on (a 429, say) is not
//! thrown away before there is a better one: if nobody else answers, it is what the client gets, since
//! the upstream's own words say more than ours.

use std::rc::Rc;

use http::request;

use super::Proxy;
use crate::config::{RouteId, UpstreamId};
use crate::error::{Error, Kind};
use crate::record::{Prevented, Record};
use crate::relay::{Answer, Clocks, Upload};
use crate::route::{Match, after_answer, after_failure};

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
    /// Asks the members of a route's group in turn. Whoever is asked gets a head made for it alone and
    /// the whole body from its beginning.
    pub(super) async fn travel(
        &self,
        head: &request::Parts,
        route: Match<'_>,
        upload: &mut Upload,
        record: &Rc<Record>,
    ) -> Result<Reached, Error> {
        // Both are there in every configuration that was checked.
        let group = self.groups.get(route.target).ok_or(Kind::Internal)?;
        let mut way = group.set_out(&head.headers);
        let load = |id: UpstreamId| self.upstreams[id.0].pool.load();
        let mut at = way.next(load).ok_or(Kind::Internal)?;
        record.routed(route.route.0, at.0);
        // Boxed: nearly no request has one, and every request in flight would hold room for it.
        let mut passed: Option<Box<Reached>> = None;
        loop {
            let clocks = self.clocks(at, route.route, group.failover_on.first_frame_timeout);
            let asked = self.ask(at, head, route.prefix, clocks, upload, record).await;
            let reason = match &asked {
                Ok(answer) => after_answer(answer.head.status, &group.failover_on),
                Err(failed) => {
                    after_failure(failed.error.kind(), failed.failure, &group.failover_on)
                }
            };
            let next = reason.and_then(|reason| Some((reason, way.next(load)?)));
            let next = next.filter(|_| upload.rewind() || prevented(record));
            let answered = asked.map(|answer| Reached {
                upstream: at,
                answer,
                by_group: group.is_named,
                clocks,
            });
            match (next, answered) {
                (Some((reason, to)), answered) => {
                    record.failed_over(to.0, reason);
                    if let Some(worse) = answered.ok().and_then(|answer| keep(&mut passed, answer))
                    {
                        worse.answer.source.pass_over();
                    }
                    at = to;
                }
                (None, Ok(reached)) => {
                    if let Some(worse) = passed {
                        worse.answer.source.pass_over();
                    }
                    return Ok(reached);
                }
                (None, Err(failed)) => {
                    let fallback = passed.ok_or(failed.error)?;
                    record.fell_back(fallback.upstream.0, fallback.answer.source.version());
                    return Ok(*fallback);
                }
            }
        }
    }
}

impl Proxy {
    /// The upstream's clocks, or the route's own in their place.
    fn clocks(&self, upstream: UpstreamId, route: RouteId, hold_head: bool) -> Clocks {
        let upstream = &self.upstreams[upstream.0].pool.settings().deadlines;
        let route = &self.config.routes[route.0].deadlines;
        Clocks {
            head: route.response_head.unwrap_or(upstream.response_head),
            first_frame: route.first_frame.unwrap_or(upstream.first_frame),
            gap: route.frame_gap.unwrap_or(upstream.frame_gap),
            hold_head,
        }
    }
}

/// The body is beyond what is kept of it: whoever comes next could only get its rest.
fn prevented(record: &Record) -> bool {
    record.failover_prevented(Prevented::Body);
    false
}

/// Keeps an answer in case nobody gives a better one; what need not be kept is given back. Where the
/// request's body was not all taken, it goes elsewhere now, and the answer would be cut for it.
fn keep(passed: &mut Option<Box<Reached>>, answer: Reached) -> Option<Box<Reached>> {
    if answer.answer.sink.is_closed() { passed.replace(Box::new(answer)) } else { None }
}
