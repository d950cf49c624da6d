//! In a program that was built without Redis: a configuration that asks for it was refused.

use std::sync::Arc;

use crate::config::Config;
use crate::error::Kind;
use crate::events::{Draft, EventRoutes, Later, Others};
use crate::record::Hub;
use crate::streams::Registry;

/// Nothing is shared.
pub(crate) struct Fanout;

#[expect(clippy::unused_self, reason = "the face of the one that shares")]
impl Fanout {
    pub(crate) fn new(_hub: &Arc<Hub>) -> Self {
        Self
    }

    /// There is nothing to follow.
    pub(crate) fn follow(&self, _config: &Config, _streams: &Arc<Registry>, _events: &EventRoutes) {
    }

    /// There is nothing to end.
    pub(crate) fn stop(&self) {}
}

impl Others for Fanout {
    fn connected(&self) -> Later<Option<String>> {
        Box::pin(async { Ok(None) })
    }

    fn find(&self, _request: &str) -> Later<Option<String>> {
        Box::pin(async { Ok(None) })
    }

    fn send(&self, _process: String, _request: &str, _drafts: Vec<Draft>) -> Later<()> {
        Box::pin(async { Err(Kind::SharedStoreLost.into()) })
    }
}
