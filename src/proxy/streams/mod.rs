//! Answers that are kept for clients that come back: `keep` puts one into the [registry](Registry) as it begins,
//! `pump` reads it from then on, and `serve` is how it is read again. Nothing here is reached by a request that neither
//! asked to be kept nor asks for a stream.

mod keep;
mod pump;
mod serve;

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderName;

use super::Proxy;
use super::context::RequestContext;
use crate::config::STREAMS_PATH;
use crate::streams::{Owner, Registry, StreamId};
use pump::Pumps;

/// In answers: by which id it is read again.
const STREAM: HeaderName = HeaderName::from_static("x-firstbyte-stream");

/// Our own bytes come when they come: no clock runs on them.
const NEVER: Duration = Duration::from_secs(365 * 24 * 3600);

/// Bytes that are held for a client that does not take them: they are in the stream as well.
const BUFFERED: usize = 64 * 1024;

/// One worker's part in streams that are kept. Clones share it.
#[derive(Clone)]
pub struct Keeper {
    registry: Arc<Registry>,
    pumps: Rc<Pumps>,
}

impl Keeper {
    /// Reads nothing yet.
    pub fn new(registry: Arc<Registry>) -> Self {
        Self { registry, pumps: Rc::default() }
    }

    /// The worker leaves: streams that nobody reads end, and no new ones are kept.
    pub fn drain(&self) {
        self.registry.drain(self.registry.elsewhere().is_some());
    }

    /// Returns once this worker reads no upstream for a stream any more.
    pub async fn emptied(&self) {
        self.pumps.emptied().await;
    }
}

impl Proxy {
    /// Whose the streams of a request are; `None` where nobody can be, as nobody is known.
    fn owner(&self, context: &RequestContext<'_>) -> Option<Owner> {
        match context.caller {
            Some(caller) => Some(Owner::Client(Arc::clone(caller.name()))),
            None => self.clients.is_none().then_some(Owner::Anyone),
        }
    }
}

/// A request's path as the log may have it: an id is not to be read there, where it may be all that it takes, not even
/// in a path that leads to nothing.
pub(super) fn loggable(path: &str) -> String {
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
