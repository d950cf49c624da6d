//! Answers that are kept for clients that come back: `keep` puts one into the [registry](Registry) as it begins,
//! `pump` reads it from then on, and `serve` is how it is read again. Nothing here is reached by a request that neither
//! asked to be kept nor asks for a stream.

mod keep;
mod pump;
mod serve;

use std::rc::Rc;
use std::sync::Arc;

use http::HeaderName;

use super::Proxy;
use super::context::RequestContext;
use crate::streams::{Owner, Registry};
use pump::Pumps;

/// In answers: by which id it is read again.
const STREAM: HeaderName = HeaderName::from_static("x-firstbyte-stream");

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
