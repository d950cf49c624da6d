//! What is counted of streams that are kept for later readers. Their readers are on all workers: hence atomics, which
//! no request touches that did not ask to be kept.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::record::outcome::{KeptEnd, Resume};

/// Of the process.
#[derive(Debug, Default)]
pub struct StreamMeters {
    /// A route has `resume`, or had it.
    used: AtomicBool,
    streams: AtomicU64,
    bytes: AtomicU64,
    readers: AtomicU64,
    ended: [AtomicU64; KeptEnd::ALL.len()],
    resumes: [AtomicU64; Resume::ALL.len()],
}

impl StreamMeters {
    /// Some route keeps streams.
    pub fn configured(&self) {
        self.used.store(true, Ordering::Relaxed);
    }

    /// One more is kept.
    pub fn kept(&self) {
        self.streams.fetch_add(1, Ordering::Relaxed);
    }

    /// One is not kept any more.
    pub fn forgotten(&self) {
        self.streams.fetch_sub(1, Ordering::Relaxed);
    }

    /// What took so many bytes of memory takes so many now.
    pub fn held(&self, before: usize, now: usize) {
        // Wrapping, as the difference may be negative.
        self.bytes.fetch_add((now as u64).wrapping_sub(before as u64), Ordering::Relaxed);
    }

    /// One more reads.
    pub fn joined(&self) {
        self.readers.fetch_add(1, Ordering::Relaxed);
    }

    /// One reads no more.
    pub fn left(&self) {
        self.readers.fetch_sub(1, Ordering::Relaxed);
    }

    /// A stream's upstream is done with.
    pub fn ended(&self, how: KeptEnd) {
        self.ended[how as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// Somebody asked for a stream.
    pub fn resumed(&self, became: Resume) {
        self.resumes[became as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// Bytes of memory that kept streams take.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    pub(in crate::record) fn is_used(&self) -> bool {
        self.used.load(Ordering::Relaxed)
    }

    /// Streams and readers.
    pub(in crate::record) fn gauges(&self) -> (u64, u64) {
        (self.streams.load(Ordering::Relaxed), self.readers.load(Ordering::Relaxed))
    }

    pub(in crate::record) fn ends(&self) -> [u64; KeptEnd::ALL.len()] {
        self.ended.each_ref().map(|count| count.load(Ordering::Relaxed))
    }

    pub(in crate::record) fn resumes(&self) -> [u64; Resume::ALL.len()] {
        self.resumes.each_ref().map(|count| count.load(Ordering::Relaxed))
    }
}
