//! Answers of routes with named events: see [`crate::events`].
//!
//! `publish` takes what a client publishes, `subscribe` begins the answer of a subscription, `feed` is that answer's
//! body, and `upkeep` what is done beside requests.

mod feed;
mod publish;
mod subscribe;
mod upkeep;

pub use upkeep::may_not_go_on;

use std::cell::RefCell;
use std::sync::Arc;

use http::{HeaderValue, Method, Response, StatusCode};

use super::Proxy;
use super::context::RequestContext;
use crate::admit::Permit;
use crate::error::{Error, Kind};
use crate::events::{Name, Topics};
use crate::relay::{RelayBody, Upload};
use crate::route::Match;

const NO_NAME: Kind = Kind::EventUnfit(
    "The path does not end with the name of an event: a slash, and 1 to 128 of the letters, the digits and \
     . _ ~ : - behind the route's path.",
);

/// A request to a route with named events.
struct Asked<'a> {
    context: &'a RequestContext<'a>,
    topics: &'a Arc<Topics>,
    name: Name,
}

impl Proxy {
    /// Publishes or subscribes, as the request's method says.
    ///
    /// # Errors
    /// [`Kind::EventMethod`], [`Kind::EventUnfit`], what the client may not, and what is full.
    pub(super) async fn events(
        &self,
        context: &RequestContext<'_>,
        route: Match<'_>,
        upload: &RefCell<Upload>,
        permit: &mut Permit,
    ) -> Result<Response<RelayBody>, Error> {
        context.record.on_route(route.route);
        let (method, path) = (&context.head.method, context.head.uri.path());
        let publishes = method == Method::POST;
        if !publishes && method != Method::GET && method != Method::HEAD {
            return Err(Kind::EventMethod.into());
        }
        let topics = self.events.get(route.route).ok_or(Kind::Internal)?;
        let name = path.get(route.prefix.len()..).and_then(|rest| rest.strip_prefix('/'));
        let name = name.and_then(Name::parse).ok_or(NO_NAME)?;
        if let Some(caller) = context.caller {
            let may = if publishes {
                caller.may_publish(name.as_str())
            } else {
                caller.may_subscribe(name.as_str())
            };
            may?;
        }
        let asked = Asked { context, topics, name };
        if publishes {
            self.publish(&asked, upload).await
        } else {
            self.subscribe(&asked, permit).await
        }
    }
}

/// What every answer of ours has.
fn answer(asked: &Asked<'_>, body: RelayBody, content_type: &'static str) -> Response<RelayBody> {
    use http::header::{CACHE_CONTROL, CONTENT_TYPE};
    let mut answer = Response::new(body);
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(crate::relay::head::REQUEST_ID, asked.context.id.clone());
    asked.context.record.status(StatusCode::OK);
    answer
}
