//! Requests of web pages: see [`admit::page`].

use bytes::Bytes;
use http::header::ORIGIN;
use http::{Response, StatusCode};

use super::Proxy;
use super::context::RequestContext;
use crate::admit::{self, Origins, Page};
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
    pub(super) fn page(&self, context: &RequestContext<'_>) -> Result<Option<Page<'_>>, Kind> {
        let (uri, headers) = (&context.head.uri, &context.head.headers);
        let Config { allowed_origins, allowed_hosts, .. } = &*self.config;
        let by_browser = context.scan.marks.any(Marks::PAGE);
        let asked = admit::Asked { by_browser, on_loopback: context.client.on_loopback };
        let origins = if by_browser {
            self.origins(context)
        } else {
            Origins { allowed: allowed_origins, cors: None }
        };
        admit::page(uri, headers, asked, origins, allowed_hosts)
    }

    /// Those of the request's route. Where it has none, nobody is asked, and whoever may use any route may read
    /// that there is nothing here.
    fn origins(&self, context: &RequestContext<'_>) -> Origins<'_> {
        let Config { allowed_origins: allowed, routes, .. } = &*self.config;
        let of = |cors| Origins { allowed, cors };
        if let Ok(found) = self.table.lookup(context.head.uri.path()) {
            return of(routes.get(found.route.0).and_then(|route| route.cors.as_ref()));
        }
        let Some(origin) = context.head.headers.get(ORIGIN) else { return of(None) };
        let somewhere = routes.iter().map(|route| of(route.cors.as_ref()));
        somewhere.chain([of(None)]).find(|it| it.let_in(origin)).unwrap_or(of(None))
    }
}

/// The answer to a browser that asks whether a page may send its request. No upstream is asked: what pages
/// may is the operator's to say.
pub(super) fn preflight(page: &Page<'_>, context: &RequestContext<'_>) -> Response<RelayBody> {
    let mut answer = Response::new(RelayBody::own(Bytes::new(), None));
    *answer.status_mut() = StatusCode::NO_CONTENT;
    *answer.headers_mut() = page.may_send(&context.head.headers);
    answer.headers_mut().insert(relay::head::REQUEST_ID, context.id.clone());
    context.record.status(StatusCode::NO_CONTENT);
    context.record.end(Outcome::Complete);
    answer
}
