//! Requests of web pages: see [`admit::page`].

use bytes::Bytes;
use http::{Response, StatusCode};

use super::Proxy;
use super::context::RequestContext;
use crate::admit::{self, Page};
use crate::config::Config;
use crate::error::Kind;
use crate::record::Outcome;
use crate::relay::{self, RelayBody};
use crate::upstream::Marks;

impl Proxy {
    /// The page that asks, if one does.
    ///
    /// # Errors
    /// See [`admit::page`].
    pub(super) fn page(&self, context: &RequestContext<'_>) -> Result<Option<Page>, Kind> {
        let (uri, headers) = (&context.head.uri, &context.head.headers);
        let Config { allowed_origins, allowed_hosts, .. } = &*self.config;
        let asked = admit::Asked {
            by_browser: context.scan.marks.any(Marks::PAGE),
            on_loopback: context.client.on_loopback,
        };
        admit::page(uri, headers, asked, allowed_origins, allowed_hosts)
    }
}

/// The answer to a browser that asks whether a page may send its request. No upstream is asked: what pages
/// may is the operator's to say.
pub(super) fn preflight(page: &Page, context: &RequestContext<'_>) -> Response<RelayBody> {
    let mut answer = Response::new(RelayBody::own(Bytes::new(), None));
    *answer.status_mut() = StatusCode::NO_CONTENT;
    *answer.headers_mut() = page.may_send(&context.head.headers);
    answer.headers_mut().insert(relay::head::REQUEST_ID, context.id.clone());
    context.record.status(StatusCode::NO_CONTENT);
    context.record.end(Outcome::Complete);
    answer
}
