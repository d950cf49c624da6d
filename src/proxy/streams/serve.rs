//! Requests for streams that are kept: `GET` and `HEAD` read one, `DELETE` stops it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{
    ACCEPT, ALLOW, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap,
};
use http::{HeaderName, HeaderValue, Method, Response, StatusCode};

use super::STREAM;
use crate::admit::Permit;
use crate::algo::percent;
use crate::config::STREAMS_PATH;
use crate::error::{Detail, Error, Kind};
use crate::proxy::Proxy;
use crate::proxy::answer::ACCEL_BUFFERING;
use crate::proxy::context::RequestContext;
use crate::record::{Outcome, Resume};
use crate::relay::{self, RelayBody};
use crate::route::Match;
use crate::streams::{
    Cursor, Denied, End, KeptStream, LAST_EVENT_ID, LogReader, StreamId, reached,
};

/// With 410: the smallest offset that is held.
const OFFSET: HeaderName = HeaderName::from_static("x-firstbyte-offset");
/// llama.cpp's parameter.
const CONVERSATION: &str = "conv_id";
/// How far a mirror may be behind what its client has read elsewhere.
const BEHIND: Duration = Duration::from_secs(1);
const ALLOWED: HeaderValue = HeaderValue::from_static("GET, HEAD, DELETE, OPTIONS");

impl Proxy {
    /// Answers a request on a route of kept streams. It is charged to no limit of its client's: the stream was.
    ///
    /// # Errors
    /// [`Kind::StreamNotFound`] for what is unknown, expired or another's; [`Kind::BadCursor`],
    /// [`Kind::StreamOffsetLost`]; what [`Elsewhere::find`](crate::streams::Elsewhere::find) fails with.
    pub(in crate::proxy) async fn serve_stream(
        &self,
        context: &RequestContext<'_>,
        route: Match<'_>,
        permit: Permit,
    ) -> Result<Response<RelayBody>, Error> {
        let (head, record) = (context.head, context.record);
        record.on_route(route.route);
        let reads = head.method == Method::GET || head.method == Method::HEAD;
        if !reads && head.method != Method::DELETE {
            return Err(only_these());
        }
        let asked = Cursor::of(&head.headers, head.uri.query());
        let found = self.find_stream(context, route).await?;
        let meters = self.keeper.registry.meters();
        let Some(stream) = found else {
            meters.resumed(Resume::Unknown);
            return Err(Kind::StreamNotFound.into());
        };
        record.of_stream(&stream.id().short());
        if !reads {
            self.stop(&stream);
            return Ok(bodyless(context, StatusCode::NO_CONTENT, HeaderMap::new()));
        }
        if stream.made().is_elsewhere
            && let Ok(Some(offset)) = asked.map(Cursor::offset)
        {
            reached(&stream, offset, BEHIND).await;
        }
        let (cursor, by_event) = (asked?, takes_events(&head.headers) && stream.log().has_events());
        let offset = cursor.place(stream.log(), by_event).map_err(|denied| match denied {
            Denied::Wrong(kind) => Error::new(kind),
            Denied::Lost(smallest) => {
                meters.resumed(Resume::Lost);
                lost(smallest)
            }
        })?;
        meters.resumed(Resume::Ok);
        if by_event && matches!(cursor, Cursor::Event(_)) && has_all_events(&stream, offset) {
            // What tells `EventSource` to come back no more (HTML, section 9.2.3).
            return Ok(bodyless(context, StatusCode::NO_CONTENT, HeaderMap::new()));
        }
        let length = if by_event { None } else { rest_of(&stream, offset) };
        let headers = headers(&stream, offset, length);
        let status = stream.made().head.status;
        if head.method == Method::HEAD {
            return Ok(bodyless(context, status, headers));
        }
        let reader = LogReader::new(&stream, offset, by_event);
        let has_events = stream.log().has_events();
        Ok(self.read_stream(context, permit, reader, (status, headers, length), has_events))
    }

    async fn find_stream(
        &self,
        context: &RequestContext<'_>,
        route: Match<'_>,
    ) -> Result<Option<Arc<KeptStream>>, Error> {
        let Some(owner) = self.owner(context) else { return Ok(None) };
        let uri = &context.head.uri;
        let registry = &self.keeper.registry;
        let rest = &uri.path()[route.prefix.len()..];
        if rest.is_empty() {
            let name = uri.query().and_then(conversation);
            return Ok(name.and_then(|name| registry.of_conversation(&name, &owner)));
        }
        let name = rest.strip_prefix('/').filter(|_| route.prefix == STREAMS_PATH);
        let Some(id) = name.and_then(StreamId::parse) else { return Ok(None) };
        match (registry.find(id, &owner), registry.elsewhere()) {
            (None, Some(elsewhere)) => Ok(elsewhere.find(id, &owner).await?),
            (found, _) => Ok(found),
        }
    }

    fn stop(&self, stream: &Arc<KeptStream>) {
        match self.keeper.registry.elsewhere() {
            Some(elsewhere) if stream.made().is_elsewhere => elsewhere.stop(stream),
            _ => stream.end(End::Stopped),
        }
    }

    /// The stream as an answer of its own.
    fn read_stream(
        &self,
        context: &RequestContext<'_>,
        permit: Permit,
        reader: LogReader,
        (status, headers, length): (StatusCode, HeaderMap, Option<u64>),
        is_event_stream: bool,
    ) -> Response<RelayBody> {
        context.record.status(status);
        let body = self.own_body(context, permit, Box::new(reader), length, is_event_stream);
        let mut answer = Response::new(body);
        *answer.status_mut() = status;
        *answer.headers_mut() = headers;
        answer.headers_mut().insert(relay::head::REQUEST_ID, context.id.clone());
        answer
    }
}

fn bodyless(
    context: &RequestContext<'_>,
    status: StatusCode,
    headers: HeaderMap,
) -> Response<RelayBody> {
    let record = context.record;
    record.status(status);
    record.end(Outcome::Complete);
    let mut answer = Response::new(RelayBody::own(Bytes::new(), None));
    *answer.status_mut() = status;
    *answer.headers_mut() = headers;
    answer.headers_mut().insert(relay::head::REQUEST_ID, context.id.clone());
    answer
}

/// What a reader is told before the bytes.
fn headers(stream: &KeptStream, offset: u64, length: Option<u64>) -> HeaderMap {
    let kept = &stream.made().head;
    let mut headers = HeaderMap::with_capacity(8);
    let own = [(CONTENT_TYPE, &kept.content_type), (CONTENT_ENCODING, &kept.content_encoding)];
    for (name, value) in own {
        if let Some(value) = value {
            headers.insert(name, value.clone());
        }
    }
    if let Ok(id) = HeaderValue::try_from(stream.id().to_string()) {
        headers.insert(STREAM, id);
    }
    headers.insert(LAST_EVENT_ID, HeaderValue::from(offset));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if stream.log().has_events() {
        headers.insert(ACCEL_BUFFERING, HeaderValue::from_static("no"));
    }
    if let Some(length) = length {
        headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
    headers
}

/// How much is left, where that is known: nothing follows, and it is whole.
fn rest_of(stream: &KeptStream, offset: u64) -> Option<u64> {
    let extent = stream.log().extent();
    (extent.over == Some(End::Complete)).then(|| extent.end - offset)
}

/// The stream is whole, and no event is left of it for somebody at this offset.
fn has_all_events(stream: &KeptStream, offset: u64) -> bool {
    stream.log().extent().over == Some(End::Complete) && offset >= stream.log().last_boundary()
}

/// Whether the client names server-sent events among what it takes: what takes anything is given the bytes as they are.
fn takes_events(headers: &HeaderMap) -> bool {
    let lines = headers.get_all(ACCEPT).iter().filter_map(|line| line.to_str().ok());
    let mut ranges = lines.flat_map(|line| line.split(','));
    ranges.any(|range| {
        let essence = range.split(';').next().unwrap_or_default().trim();
        essence.eq_ignore_ascii_case("text/event-stream")
    })
}

/// The name that a query asks for. Of two neither.
fn conversation(query: &str) -> Option<String> {
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let mut names = pairs.filter(|(name, _)| *name == CONVERSATION);
    let (_, name) = names.next().filter(|_| names.next().is_none())?;
    percent::form_decoded(name)
}

fn lost(smallest: u64) -> Error {
    let message =
        format!("The stream no longer has this offset; the smallest that it has is {smallest}.");
    let headers = vec![(OFFSET, HeaderValue::from(smallest))];
    Error::new(Kind::StreamOffsetLost).told(Detail { message, headers, ..Detail::default() })
}

fn only_these() -> Error {
    let message = "A stream is read by GET and HEAD and stopped by DELETE.".to_owned();
    let headers = vec![(ALLOW, ALLOWED)];
    Error::new(Kind::MethodRefused).told(Detail { message, headers, ..Detail::default() })
}
