//! Requests of web pages: see [`admit::page`].

use std::rc::Rc;

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};

use super::{Client, Proxy};
use crate::admit::{self, Page};
use crate::config::Config;
use crate::error::Kind;
use crate::record::{Outcome, Record};
use crate::relay::{self, RelayBody, RequestBody};
use crate::upstream::Marks;

impl Proxy {
    /// The page that asks, if one does.
    ///
    /// # Errors
    /// See [`admit::page`].
    pub(super) fn page(
        &self,
        client: &Client,
        request: &Request<RequestBody>,
        marks: Marks,
    ) -> Result<Option<Page>, Kind> {
        let (uri, headers) = (request.uri(), request.headers());
        let Config { allowed_origins, allowed_hosts, .. } = &*self.config;
        let asked =
            admit::Asked { by_browser: marks.any(Marks::PAGE), on_loopback: client.on_loopback };
        admit::page(uri, headers, asked, allowed_origins, allowed_hosts)
    }
}

/// The answer to a browser that asks whether a page may send its request. No upstream is asked: what pages
/// may is the operator's to say.
pub(super) fn preflight(
    page: &Page,
    asked: &HeaderMap,
    record: &Rc<Record>,
) -> Response<RelayBody> {
    let mut answer = Response::new(RelayBody::own(Bytes::new(), None));
    *answer.status_mut() = StatusCode::NO_CONTENT;
    *answer.headers_mut() = page.may_send(asked);
    answer.headers_mut().insert(relay::head::REQUEST_ID, record.id().header_value());
    record.status(StatusCode::NO_CONTENT);
    record.end(Outcome::Complete);
    answer
}
