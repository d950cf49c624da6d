//! What the last look found, as all workers read it, and what requests in flight weigh until the next one.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use tokio::sync::watch;

use super::monitor::{Headroom, Level};

/// What a request that has no answer yet may still take before anybody counts it, in bytes: its task, its
/// streams on both sides, and what its answer's first part pins. A look does not see it, and it may come
/// for all of them at once.
pub(super) const STILL_TO_COME: u64 = 20 * 1024;

/// The part of the ceiling that those give back who do not read, where requests were refused.
const GIVES_WAY: u64 = 16;

/// What those give back who take nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Over {
    /// So much, in all workers together.
    pub bytes: u64,
    /// See [`Headroom::urgent`].
    pub urgent: bool,
}

/// The level as all workers see it. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Pressure(Arc<Shown>);

/// The end that sets it, for as long as anybody looks.
#[derive(Debug)]
pub struct LevelSetter(Weak<Shown>);

#[derive(Debug)]
struct Shown {
    level: AtomicU8,
    look: AtomicU64,
    /// What the requests in flight count for, and how much that may be until the next look.
    weight: AtomicU64,
    most: AtomicU64,
    /// Requests in flight that have no answer yet.
    unanswered: AtomicU64,
    /// Since the last look a request was refused that there was no room for.
    refused: AtomicBool,
    over: watch::Sender<Over>,
    ceiling: AtomicU64,
}

impl Default for Shown {
    fn default() -> Self {
        let (level, look, weight, unanswered, ceiling) = Default::default();
        let (most, over) = (AtomicU64::new(u64::MAX), watch::Sender::new(Over::default()));
        let refused = AtomicBool::new(false);
        Self { level, look, weight, most, unanswered, refused, over, ceiling }
    }
}

/// What one look allows to be held. Equal only where it is of the same look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Look(u64);

impl Look {
    const BITS: u32 = 40;

    pub(in crate::admit) fn after(self, held: u64) -> Self {
        let number = (self.0 >> Self::BITS).wrapping_add(1) & 0xff_ffff;
        Self(number.max(1) << Self::BITS | held.min((1 << Self::BITS) - 1))
    }

    /// Somebody looks at memory at all.
    pub fn is_one(self) -> bool {
        self.0 != 0
    }

    /// Bytes that may be held more, in all workers together.
    pub fn held(self) -> u64 {
        self.0 & ((1 << Self::BITS) - 1)
    }
}

/// What a request in flight counts for, for as long as it lives.
#[derive(Debug)]
pub(in crate::admit) struct Weight {
    pressure: Pressure,
    bytes: u64,
    answered: bool,
}

impl Weight {
    /// Its answer's body has begun: what it takes from here on is counted, or measured.
    pub(in crate::admit) fn answered(&mut self) {
        if !std::mem::replace(&mut self.answered, true) {
            self.pressure.0.unanswered.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl Drop for Weight {
    fn drop(&mut self) {
        self.answered();
        self.pressure.0.weight.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

impl Pressure {
    /// The level now.
    pub fn level(&self) -> Level {
        match self.0.level.load(Ordering::Relaxed) {
            0 => Level::Calm,
            1 => Level::Shed,
            _ => Level::Shut,
        }
    }

    /// The last look, which is none where nobody looks.
    pub fn look(&self) -> Look {
        Look(self.0.look.load(Ordering::Relaxed))
    }

    /// What memory is bounded by, in bytes; `None` where nobody looks.
    pub fn ceiling(&self) -> Option<u64> {
        self.look().is_one().then(|| self.0.ceiling.load(Ordering::Relaxed))
    }

    /// New requests are refused, or would be.
    pub fn is_short(&self) -> bool {
        self.level() != Level::Calm
            || self.0.weight.load(Ordering::Relaxed) >= self.0.most.load(Ordering::Relaxed)
    }

    /// A request of so many bytes comes in; the second value says that it is too much.
    pub(in crate::admit) fn weigh(&self, bytes: u64) -> (Weight, bool) {
        let before = self.0.weight.fetch_add(bytes, Ordering::Relaxed);
        self.0.unanswered.fetch_add(1, Ordering::Relaxed);
        let most = self.0.most.load(Ordering::Relaxed);
        let weight = Weight { pressure: self.clone(), bytes, answered: false };
        let much = before.saturating_add(bytes) > most;
        if much {
            self.0.refused.store(true, Ordering::Relaxed);
        }
        (weight, much)
    }

    /// Ready each time a look finds that too much is held; by how much.
    pub async fn over(&self, seen: &mut watch::Receiver<Over>) -> Over {
        // The sender is in our own hands: this does not fail.
        drop(seen.changed().await);
        *seen.borrow_and_update()
    }

    /// To wait with; what was found before is not told again.
    pub fn listen(&self) -> watch::Receiver<Over> {
        self.0.over.subscribe()
    }

    /// The other end, which looks at memory with this ceiling in bytes.
    pub fn level_setter(&self, ceiling: u64) -> LevelSetter {
        self.0.ceiling.store(ceiling, Ordering::Relaxed);
        LevelSetter(Arc::downgrade(&self.0))
    }
}

impl LevelSetter {
    /// Somebody still looks at what is shown.
    pub fn is_seen(&self) -> bool {
        self.0.strong_count() > 0
    }

    /// Shows what a look found. Of the room for requests, those have their part first that are in and have
    /// no answer yet.
    pub fn show(&self, level: Level, headroom: Headroom) {
        let Some(seen) = self.0.upgrade() else { return };
        seen.level.store(level as u8, Ordering::Relaxed);
        let to_come = seen.unanswered.load(Ordering::Relaxed).saturating_mul(STILL_TO_COME / 2);
        let requests = headroom.requests.saturating_sub(to_come);
        let most = seen.weight.load(Ordering::Relaxed).saturating_add(requests);
        seen.most.store(most, Ordering::Relaxed);
        let look = Look(seen.look.load(Ordering::Relaxed)).after(headroom.held);
        seen.look.store(look.0, Ordering::Relaxed);
        // Those who do not read give way to those who are refused, also while memory itself is not short.
        let refused = seen.refused.swap(false, Ordering::Relaxed);
        let give_way = if refused { seen.ceiling.load(Ordering::Relaxed) / GIVES_WAY } else { 0 };
        let over = Over { bytes: headroom.over.max(give_way), urgent: headroom.urgent };
        if over.bytes > 0 {
            seen.over.send_replace(over);
        }
    }
}
