//! Whose a request is, as its record has it, and whether its client's limits let it in.

use std::rc::Rc;
use std::sync::Arc;

use http::{HeaderMap, Method, request, response};

use super::context::RequestContext;
use super::{Client, Proxy};
use crate::admit::{Caller, Directory, Permit};
use crate::config::{RouteId, STREAMS_PATH};
use crate::error::{Error, Kind};
use crate::record::{Hashed, Opened, Record};
use crate::streams::StreamId;

impl Proxy {
    /// Opens the record of a request with this head.
    pub(super) fn open(&self, client: &Client, head: &request::Parts) -> Rc<Record> {
        let record = self.recorder.open(Opened {
            at: client.wire.read_at(),
            client: client.of_request(&head.headers, &self.config.trusted_proxies),
            version: head.version,
            method: head.method.clone(),
            path: if self.recorder.is_logging() {
                loggable(head.uri.path())
            } else {
                String::new()
            },
        });
        if self.recorder.is_logging() {
            self.name(&record, &head.headers);
        }
        record
    }

    /// Tells the log how others name the request and its end user. What the operator hides stands there as a hash only.
    pub(super) fn name(&self, record: &Record, headers: &HeaderMap) {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let (id, trace) = ("x-request-id", "traceparent");
        let Some(pseudonyms) = &self.pseudonyms else {
            return record.named(text(id), text(trace), Hashed::default());
        };
        let shown = |name: &str| text(name).filter(|_| !pseudonyms.hides(name));
        record.named(shown(id), shown(trace), pseudonyms.of(headers));
    }

    /// The client whose key or certificate a request brings.
    ///
    /// # Errors
    /// [`Kind::InvalidKey`].
    pub(super) fn identify<'a>(
        &self,
        clients: &'a Directory,
        context: &RequestContext<'_>,
    ) -> Result<&'a Arc<Caller>, Kind> {
        let caller = {
            let client = context.client;
            clients.identify(&context.head.headers, &client.certificates, &client.known)?
        };
        if self.recorder.is_logging() {
            context.record.of_client(caller.name());
        }
        Ok(caller)
    }

    /// Whether the request's client may use a route.
    ///
    /// # Errors
    /// [`Kind::RouteNotAllowed`].
    pub(super) fn may_use(context: &RequestContext<'_>, route: RouteId) -> Result<(), Kind> {
        let Some(caller) = context.caller else { return Ok(()) };
        caller.may_use(route).inspect_err(|_kind| context.record.on_route(route))
    }

    /// Takes what the request takes of its client's limits: last of all that could refuse it by its head, and before its
    /// body is waited for, so that its client's bodies are no more than its limits let in.
    ///
    /// # Errors
    /// [`Kind::RateLimited`], [`Kind::QuotaExceeded`].
    pub(super) async fn charge(
        &self,
        context: &RequestContext<'_>,
        route: RouteId,
        permit: Permit,
    ) -> Result<Permit, Error> {
        let Some(caller) = context.caller else { return Ok(permit) };
        let at = context.record.opened_at();
        let charge = match caller.remote() {
            None => caller.admit(at),
            // Boxed: the futures of all other requests need no room for it.
            Some(remote) => Box::pin(caller.admit_by(remote, at)).await,
        };
        Ok(permit.charged(charge.inspect_err(|_refused| context.record.on_route(route))?))
    }
}

/// Tells the client what is left of its limits. Whether the answer's usage is to be read: some model may have been
/// asked, and it did not refuse.
pub(super) fn metered(
    permit: &Permit,
    context: &RequestContext<'_>,
    head: &mut response::Parts,
) -> bool {
    let Some(charge) = permit.charge() else { return false };
    charge.show(&mut head.headers);
    head.status.is_success() && context.head.method == Method::POST
}

/// A request's path as the log may have it: an id is not to be read there, where it may be all that it takes, not even
/// in a path that leads to nothing.
fn loggable(path: &str) -> String {
    let Some(rest) = path.strip_prefix(STREAMS_PATH) else { return path.to_owned() };
    let mut shown = STREAMS_PATH.to_owned();
    for piece in rest.split_inclusive('/') {
        let name = piece.trim_end_matches('/');
        match StreamId::parse(name) {
            Some(id) => {
                shown.push_str(&id.short());
                shown.push('…');
                shown.push_str(&piece[name.len()..]);
            }
            None => shown.push_str(piece),
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_path_that_is_logged_has_a_whole_id() {
        let id = "0123456789abcdef0123456789abcdef";
        for (path, shown) in [
            (format!("/streams/{id}"), "/streams/01234567…"),
            (format!("/streams//{id}/"), "/streams//01234567…/"),
            (format!("/streams/x/{id}"), "/streams/x/01234567…"),
            ("/streams/none".to_owned(), "/streams/none"),
            ("/streams".to_owned(), "/streams"),
            (format!("/v1/files/{id}"), "/v1/files/0123456789abcdef0123456789abcdef"),
        ] {
            assert_eq!(loggable(&path), shown, "{path}");
        }
    }
}
