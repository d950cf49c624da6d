//! Begins the answer of a subscription.

use std::time::{Instant, SystemTime};

use http::{HeaderValue, Method, Response};

use super::feed::Feed;
use super::{Asked, answer};
use crate::admit::Permit;
use crate::error::{Error, Kind};
use crate::events::{Card, Cursor, Key, LAST_EVENT_ID};
use crate::proxy::Proxy;
use crate::proxy::answer::ACCEL_BUFFERING;
use crate::proxy::context::RequestContext;
use crate::record::Outcome;
use crate::relay::RelayBody;

const CURSOR: Kind = Kind::EventUnfit(
    "Last-Event-ID, or lastEventID in the query, is no id: send one of at most 256 bytes without control \
     characters, or earliest.",
);

const EVENT_STREAM: &str = "text/event-stream";

impl Proxy {
    /// The answer's head, and what is published as its body.
    pub(super) async fn subscribe(
        &self,
        asked: &Asked<'_>,
        permit: &mut Permit,
    ) -> Result<Response<RelayBody>, Error> {
        let Asked { context, topics, name } = asked;
        let (head, record) = (context.head, context.record);
        let cursor = Cursor::of(&head.headers, head.uri.query()).map_err(|_no_cursor| CURSOR)?;
        if head.method == Method::HEAD {
            // Nothing begins with it, not even the name.
            let known = topics.known(name.as_str());
            let behind = known.map_or_else(|| "earliest".into(), |topic| topic.read(&cursor).1);
            record.end(Outcome::Complete);
            let body = RelayBody::own(bytes::Bytes::new(), None);
            return Ok(begun(answer(asked, body, EVENT_STREAM), &behind));
        }
        let topic = topics.topic(name, Instant::now())?;
        let bounds = topics.bounds();
        if let Some(elsewhere) = topics.elsewhere() {
            let key = Key { path: topics.path().into(), name: name.clone() };
            elsewhere.follow(key, &topic, &bounds).await?;
        }
        let (subscription, behind) = topics.subscribe(&topic, &cursor, self.card(context))?;
        let mut permit = permit.take();
        // Nobody knows when its first event comes: what it takes until then is taken already.
        permit.answered(Instant::now());
        let mut charge = permit.take_charge();
        if let Some(charge) = &mut charge {
            charge.costs_nothing();
        }
        let feed = Feed::new(subscription, bounds.heartbeat, charge);
        // What is published is no answer of a model's: its last event ends nothing.
        let body = self.own_body(context, permit, Box::new(feed), None, false);
        Ok(begun(answer(asked, body, EVENT_STREAM), &behind))
    }

    /// Who subscribes, for those who ask who is there.
    fn card(&self, context: &RequestContext<'_>) -> Card {
        let (client, headers) = (context.client, &context.head.headers);
        Card {
            request: context.record.id().to_string(),
            client: context.caller.map(|caller| std::sync::Arc::clone(caller.name())),
            proof: self.clients.as_ref().and_then(|it| it.proof(headers, &client.certificates)),
            address: client.of_request(headers, &self.config.trusted_proxies).to_string(),
            since: SystemTime::now(),
        }
    }
}

fn begun(mut answer: Response<RelayBody>, behind: &str) -> Response<RelayBody> {
    let headers = answer.headers_mut();
    headers.insert(ACCEL_BUFFERING, HeaderValue::from_static("no"));
    // No id has what a header cannot.
    if let Ok(behind) = HeaderValue::from_bytes(behind.as_bytes()) {
        headers.insert(&LAST_EVENT_ID, behind);
    }
    answer
}
