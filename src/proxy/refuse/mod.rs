//! Answers of our own: to what is not forwarded, and to what failed before an upstream's answer began.

mod shed;

use std::rc::Rc;

use bytes::Bytes;
use http::header::CONNECTION;
use http::{HeaderValue, Method, Request, Response, Version, request};

use super::context::RequestContext;
use super::{Client, Proxy};
use crate::error::{Error, Kind};
use crate::record::{Opened, Record};
use crate::relay::drive::Patience;
use crate::relay::{self, RelayBody, RequestBody};

impl Proxy {
    /// Answers a request that is not looked at: the connection that it came on may not stay.
    pub fn decline(
        &self,
        client: &Client,
        request: Request<RequestBody>,
        kind: Kind,
    ) -> Response<RelayBody> {
        let (head, _unread) = request.into_parts();
        let record = self.open(client, &head);
        let id = record.id().header_value();
        let context = RequestContext::new(client, &head, &record, &id);
        let mut answer = self.refuse(&context, &kind.into());
        if let Ok(Some(page)) = self.page(&context) {
            page.may_see(answer.headers_mut());
        }
        answer
    }

    /// Answers what could not be read as a request on an HTTP/1.1 connection, or not to its end. It is
    /// recorded as one whose method and path are not known.
    pub fn turn_away(&self, client: &Client, kind: Kind) -> Response<RelayBody> {
        let unknown = Method::from_bytes(b"-").unwrap_or_default();
        let record = self.recorder.open(Opened {
            at: client.wire.read_at(),
            client: client.address,
            version: Version::HTTP_11,
            method: unknown,
            path: "-".to_owned(),
        });
        self.error_response(&kind.into(), Version::HTTP_11, None, &record)
    }

    /// The answer to a request that could not be forwarded, or whose upstream failed before its head.
    pub(super) fn refuse(
        &self,
        context: &RequestContext<'_>,
        error: &Error,
    ) -> Response<RelayBody> {
        self.error_response(error, context.head.version, Some(context.head), context.record)
    }

    /// With a client of this version that does not take an answer of our own. Over HTTP/1.1 the socket has its own.
    pub(super) fn patience(&self, version: Version) -> Option<Patience> {
        (version >= Version::HTTP_2)
            .then(|| Patience::new(self.admission.pressure(), self.config.client.write_stall))
    }

    /// `head`: of the request, where it is known.
    fn error_response(
        &self,
        error: &Error,
        version: Version,
        head: Option<&request::Parts>,
        record: &Rc<Record>,
    ) -> Response<RelayBody> {
        let (kind, id) = (error.kind(), record.id().header_value());
        let bodyless = head.is_some_and(|head| head.method == Method::HEAD);
        let (status, headers, body) = match head {
            // Which path came, and which would do, is what whoever set a base URL needs to know.
            Some(head) if kind == Kind::NoRoute => {
                error.response_parts_saying(&self.table.no_route(head.uri.path()), &id)
            }
            // Likewise which model, and which there are.
            Some(_) if matches!(kind, Kind::ModelUnknown | Kind::ModelMissing) => {
                let found = error.found();
                error.response_parts_saying(found.as_deref().unwrap_or(error.message()), &id)
            }
            _ => error.response_parts(&id),
        };
        record.status(status);
        record.failed(error);
        record.end(relay::outcome(kind.outcome()));
        if let Some(why) = shed::why(kind) {
            self.recorder.shed(why);
        }
        // Over HTTP/2 hyper would send a body to HEAD too, and the client reset the stream for that.
        let body = if bodyless { Bytes::new() } else { body };
        record.sent(body.len() as u64);
        let mut answer = Response::new(RelayBody::own(body, self.patience(version)));
        *answer.status_mut() = status;
        *answer.headers_mut() = headers;
        if matches!(kind, Kind::BadRequest(_)) && version < Version::HTTP_2 {
            // What follows on this connection may be part of what was not understood.
            answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        answer
    }
}

/// Whether the rest of a refused request is worth reading: it is a body, and somebody sends it.
pub(super) fn is_understood(kind: Kind, version: Version) -> bool {
    match kind {
        Kind::BodyIdle | Kind::BodySlow | Kind::ClientGone => false,
        // Over HTTP/1.1 nobody knows where it ends.
        Kind::BadRequest(_) => version >= Version::HTTP_2,
        _ => true,
    }
}
