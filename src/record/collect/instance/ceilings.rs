//! What the process as a whole is bounded by, and how near it is.

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

/// Set where the bounds are made and watched, shown with the metrics.
#[derive(Debug, Default)]
pub struct Ceilings {
    connections: AtomicU64,
    memory: AtomicU64,
    memory_used: AtomicU64,
    memory_level: AtomicU8,
}

impl Ceilings {
    /// Client connections that may be open at once.
    pub fn set_connections(&self, most: u64) {
        self.connections.store(most, Ordering::Relaxed);
    }

    /// Bytes of memory to stay under.
    pub fn set_memory(&self, bytes: u64) {
        self.memory.store(bytes, Ordering::Relaxed);
    }

    /// Bytes that were used at the last look, and what that allows: 0 everything, 1 no new request, 2 no
    /// new connection either.
    pub fn saw_memory(&self, used: u64, level: u8) {
        self.memory_used.store(used, Ordering::Relaxed);
        self.memory_level.store(level, Ordering::Relaxed);
    }

    pub(in crate::record) fn connections(&self) -> u64 {
        self.connections.load(Ordering::Relaxed)
    }

    /// Ceiling, used and level; `None` where nobody looks.
    pub(in crate::record) fn memory(&self) -> Option<(u64, u64, u8)> {
        let ceiling = self.memory.load(Ordering::Relaxed);
        let used = self.memory_used.load(Ordering::Relaxed);
        (ceiling > 0).then(|| (ceiling, used, self.memory_level.load(Ordering::Relaxed)))
    }
}
