//! Streams of other processes, as this one has them while somebody here reads them.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Instant;

use super::meta;
use crate::fanout::wire::{Entry, EntryId};

use crate::error::Kind;
use crate::streams::{End, KeptStream, StreamId};

/// Looks in a row that have to miss a process before it counts as gone.
const MISSES: u32 = 2;

/// By their ids.
#[derive(Default)]
pub(in crate::fanout) struct Mirrors(HashMap<StreamId, Mirror>);

/// One of them.
pub(in crate::fanout) struct Mirror {
    pub(in crate::fanout) stream: Arc<KeptStream>,
    /// Who reads its upstream.
    pub(in crate::fanout) instance: Box<str>,
    /// The last entry that was read.
    pub(in crate::fanout) cursor: EntryId,
    /// How often in a row that process was not there.
    misses: u32,
}

impl Mirror {
    pub(in crate::fanout) fn new(stream: Arc<KeptStream>, instance: Box<str>) -> Self {
        Self { stream, instance, cursor: (0, 0), misses: 0 }
    }

    /// Its process is not there just now.
    pub(in crate::fanout) fn missed(&mut self) {
        self.misses += 1;
    }

    /// Writes what came: bytes that are there already are passed over, and where some are missing the stream is cut
    /// rather than given with a hole. False once it is over.
    pub(in crate::fanout) fn take(&mut self, entries: &[Entry], now: Instant) -> bool {
        for entry in entries {
            self.cursor = self.cursor.max(entry.id);
            if let Some(bytes) = entry.get("b")
                && !self.put(entry.id.0, bytes, now)
            {
                self.stream.end(End::Cut(Kind::StreamCut));
            }
            if let Some(word) = entry.text("e") {
                let is_whole = entry.id.0 == self.stream.log().extent().end;
                let end = if is_whole { meta::end(word) } else { End::Cut(Kind::StreamCut) };
                self.stream.end(end);
            }
        }
        self.stream.log().extent().over.is_none()
    }

    /// False where bytes are missing.
    fn put(&self, end: u64, bytes: &[u8], now: Instant) -> bool {
        let Some(begin) = end.checked_sub(bytes.len() as u64) else { return false };
        let log = self.stream.log();
        let mut there = log.extent().end;
        if there == 0 && begin > 0 {
            log.begin_at(begin);
            there = begin;
        }
        let Some(known) = there.checked_sub(begin) else { return false };
        if let Some(fresh) = bytes.get(known as usize..).filter(|fresh| !fresh.is_empty()) {
            log.append(fresh, now);
        }
        true
    }
}

impl Mirrors {
    pub(in crate::fanout) fn insert(&mut self, mirror: Mirror) {
        self.0.insert(mirror.stream.id(), mirror);
    }

    pub(in crate::fanout) fn len(&self) -> usize {
        self.0.len()
    }

    pub(in crate::fanout) fn get_mut(&mut self, id: StreamId) -> Option<&mut Mirror> {
        self.0.get_mut(&id)
    }

    pub(in crate::fanout) fn take(&mut self, id: StreamId, entries: &[Entry]) {
        if let Some(mirror) = self.0.get_mut(&id)
            && !mirror.take(entries, Instant::now())
        {
            self.0.remove(&id);
        }
    }

    /// Those that go on, with the last entry that was read of each; ended ones are let go.
    pub(in crate::fanout) fn cursors(&mut self) -> Vec<(StreamId, EntryId)> {
        self.0.retain(|_, mirror| mirror.stream.log().extent().over.is_none());
        self.0.iter().map(|(id, mirror)| (*id, mirror.cursor)).collect()
    }

    /// Whose streams these are.
    pub(in crate::fanout) fn instances(&self) -> HashSet<Box<str>> {
        self.0.values().map(|mirror| mirror.instance.clone()).collect()
    }

    /// Those that somebody here reads, by the process that they are of.
    pub(in crate::fanout) fn read(&self) -> HashMap<Box<str>, Vec<StreamId>> {
        let mut all: HashMap<_, Vec<_>> = HashMap::new();
        for (id, mirror) in self.0.iter().filter(|(_, mirror)| mirror.stream.readers() > 0) {
            all.entry(mirror.instance.clone()).or_default().push(*id);
        }
        all
    }

    /// Those whose process is gone for good: what there is of them is all.
    pub(in crate::fanout) fn orphans(&mut self, alive: &HashSet<Box<str>>) -> Vec<StreamId> {
        let mut orphans = Vec::new();
        for (id, mirror) in &mut self.0 {
            if alive.contains(&mirror.instance) {
                mirror.misses = 0;
            } else {
                mirror.missed();
            }
            if mirror.misses >= MISSES {
                orphans.push(*id);
            }
        }
        orphans
    }
}
