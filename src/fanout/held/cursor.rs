//! How far this process has read what it is told.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::fanout::wire::EntryId;

/// The last order that was read.
#[derive(Debug, Default)]
pub(in crate::fanout) struct Cursor(AtomicU64, AtomicU64);

impl Cursor {
    pub(in crate::fanout) fn set(&self, id: EntryId) {
        self.0.store(id.0, Relaxed);
        self.1.store(id.1, Relaxed);
    }

    pub(in crate::fanout) fn get(&self) -> EntryId {
        (self.0.load(Relaxed), self.1.load(Relaxed))
    }
}
