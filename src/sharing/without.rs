//! In a program that was built without Redis: a configuration that asks for it was refused.

use std::sync::Arc;

use crate::admit::Directory;
use crate::config::Redis;
use crate::record::RedisMeters;

/// Nothing is shared.
pub(crate) struct Shares;

#[expect(clippy::unused_self, reason = "the face of the one that shares")]
impl Shares {
    pub(crate) fn new(_meters: &Arc<RedisMeters>) -> Self {
        Self
    }

    /// There is nothing to follow.
    pub(crate) fn follow(&self, _redis: Option<&Redis>, _clients: Option<&Arc<Directory>>) {}

    /// There is nothing to end.
    pub(crate) fn stop(&self) {}
}
