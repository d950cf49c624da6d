//! Limits that move learn of each attempt: how long its first byte took, and what the upstream says of its own
//! limits.
//!
//! A first byte is one of a successful answer to a POST, measured from when the upstream had the request. A failure
//! is none, except that the time for a head ran out: that was a long wait. A hedge that is overtaken is dropped and
//! says nothing.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use http::{Method, StatusCode};

use super::Proxy;
use super::context::RoutedRequest;
use crate::admit::{Adaptive, FirstByte, Full, Told, Unanswered};
use crate::config::UpstreamId;
use crate::error::{Detail, Error, Kind};
use crate::relay::head::is_event_stream;
use crate::relay::{Answer, Upload};
use crate::route::retry_after;

/// An attempt that limits follow. Dropped, it is given up, and they learn nothing.
pub(super) struct Asking {
    began: Instant,
    upstream: Option<Unanswered>,
    route: Option<Arc<Adaptive>>,
    /// The key is the operator's, and so are its limits. Of a client's own key they are nobody else's.
    is_ours: bool,
    /// A model is asked: a list of models comes as quickly under any load.
    asks_model: bool,
}

impl Proxy {
    /// An attempt that begins, where a limit is to learn of it. Boxed: nearly none is.
    pub(super) fn asking(&self, routed: &RoutedRequest<'_>, at: UpstreamId) -> Option<Box<Asking>> {
        let upstream = self.upstreams[at.0].limit.as_ref().and_then(|limit| limit.adaptive());
        let route = self.admission.adaptive(routed.route.route);
        if upstream.is_none() && route.is_none() {
            return None;
        }
        let meant = &self.config.upstreams[at.0];
        Some(Box::new(Asking {
            began: Instant::now(),
            upstream: upstream.map(Adaptive::sent),
            route: route.cloned(),
            asks_model: routed.context.head.method == Method::POST,
            is_ours: meant.key.is_some() || !meant.forward_authorization,
        }))
    }

    /// The upstream takes no request now, as it said itself.
    pub(super) fn is_shut(&self, at: UpstreamId) -> bool {
        let adaptive = self.upstreams[at.0].limit.as_ref().and_then(|limit| limit.adaptive());
        adaptive.is_some_and(|adaptive| adaptive.is_shut(Instant::now()))
    }
}

impl Asking {
    /// It failed.
    pub(super) fn failed(&self, kind: Kind) {
        if kind == Kind::HeadTimeout && self.asks_model {
            self.first_byte(self.began, true).came(Instant::now());
        }
    }

    fn first_byte(&self, sent: Instant, is_streamed: bool) -> FirstByte {
        let upstream = self.upstream.as_ref().map(|upstream| Arc::clone(upstream.limit()));
        FirstByte::new([upstream, self.route.clone()], sent, is_streamed)
    }

    /// What the upstream says of its own limits.
    fn learn(&mut self, answer: &Answer) {
        let Some(unanswered) = self.upstream.take().filter(|_| self.is_ours) else { return };
        let limit = Arc::clone(unanswered.limit());
        // It is answered: what is said counts it.
        drop(unanswered);
        let (status, headers) = (answer.head.status, &answer.head.headers);
        if status == StatusCode::TOO_MANY_REQUESTS {
            let pause = retry_after(headers, SystemTime::now());
            limit.refused(&Told::of(headers), pause, self.began, Instant::now());
        } else if status.is_success() {
            limit.told(&Told::of(headers), Instant::now());
        }
    }
}

/// An answer began.
pub(super) fn heard(
    asking: Option<Box<Asking>>,
    mut answer: Answer,
    upload: &RefCell<Upload>,
) -> Answer {
    let Some(mut asking) = asking else { return answer };
    // What the client was slow to send is not the upstream's delay.
    let sent = asking.began.max(upload.borrow().progress());
    if asking.asks_model && answer.head.status.is_success() {
        let is_streamed = is_event_stream(&answer.head.headers);
        answer.first_byte = Some(Box::new(asking.first_byte(sent, is_streamed)));
    }
    asking.learn(&answer);
    answer
}

/// What a client is told of an upstream that takes no more.
pub(super) fn full(full: Full) -> Error {
    let Full::RateLimited(left) = full else { return Kind::UpstreamBusy.into() };
    let message = format!(
        "The upstream's own rate limit is used up; retry in {} s.",
        left.as_secs_f64().ceil(),
    );
    let retry_after = Some(left);
    Error::new(Kind::UpstreamRateLimited).told(Detail { message, retry_after, ..Detail::default() })
}
