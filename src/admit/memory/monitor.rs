//! What follows from how far memory is from its ceiling: a pure decision over one look after the other.

use std::time::{Duration, Instant};

/// Per cent of the ceiling from which on new requests are refused.
const SHED_FROM: u64 = 75;

/// Per cent up to which bytes are held for peers who do not take them. Beyond it those are ended who have
/// taken nothing for longest. What is left covers what nobody counts: an allocator's overhead, and what
/// protocol layers have read and not handed on.
const HOLD_UNTIL: u64 = 70;

/// Per cent from which on those who take nothing are ended soon.
const URGENT_FROM: u64 = 80;

/// Per cent from which on new connections are refused too: each costs some kilobytes before it asks.
const SHUT_FROM: u64 = 90;

/// A level is left this many per cent lower than it was entered, or it would be left and entered with
/// every request.
const BACK: u64 = 5;

/// Looks are at least this far apart: each costs some 30 µs.
pub(super) const SOONEST: Duration = Duration::from_millis(2);

/// And at most this far.
pub(super) const LATEST: Duration = Duration::from_millis(50);

/// How fast memory can fill, in bytes per millisecond: two gibibytes per second.
const FILLS: u64 = 2 << 20;

/// And not before it has held for this long: what ends gives its memory back within that time.
const HOLD: Duration = Duration::from_secs(1);

/// What memory allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Level {
    /// Everything.
    Calm = 0,
    /// No new request.
    Shed = 1,
    /// No new connection either.
    Shut = 2,
}

/// What may be taken until the next look, in bytes. Both together stay under the ceiling.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Headroom {
    /// By requests that come in.
    pub requests: u64,
    /// For peers who do not take it, in all workers together.
    pub held: u64,
    /// So much is held too much: those who take nothing are to give it back.
    pub over: u64,
    /// And soon: what is left to the ceiling may be gone before the next look.
    pub urgent: bool,
}

/// Decides the level from one look after the other.
#[derive(Debug)]
pub struct MemoryMonitor {
    ceiling: u64,
    level: Level,
    since: Instant,
}

impl MemoryMonitor {
    /// Calm at first, under a ceiling in bytes.
    pub fn new(ceiling: u64, now: Instant) -> Self {
        Self { ceiling, level: Level::Calm, since: now }
    }

    /// The level after a look at `now` that showed `used` bytes. It rises at once; it falls after a
    /// second, and only under a lower mark than it rose at.
    pub fn see(&mut self, used: u64, now: Instant) -> Level {
        let over = |per_cent: u64| used >= self.ceiling / 100 * per_cent;
        let reached = |back: u64| match () {
            () if over(SHUT_FROM - back) => Level::Shut,
            () if over(SHED_FROM - back) => Level::Shed,
            () => Level::Calm,
        };
        let (up, down) = (reached(0), reached(BACK));
        let held = now.saturating_duration_since(self.since) >= HOLD;
        if up > self.level || (down < self.level && held) {
            (self.level, self.since) = (if up > self.level { up } else { down }, now);
        }
        self.level
    }

    /// What may be taken after a look that showed `used` bytes. Half of what is left is for requests, since
    /// both may be taken at once, and a quarter for what is held, which pins parts that nobody counts.
    pub fn headroom(&self, used: u64) -> Headroom {
        let until = |per_cent: u64| self.ceiling / 100 * per_cent;
        // Those who do not read give way until requests come in again.
        let calm = if self.level == Level::Calm { u64::MAX } else { until(SHED_FROM - BACK) };
        Headroom {
            requests: until(SHED_FROM).saturating_sub(used) / 2,
            held: until(HOLD_UNTIL).saturating_sub(used) / 4,
            over: used.saturating_sub(calm),
            urgent: used >= until(URGENT_FROM),
        }
    }

    /// Until the next look: sooner than memory can fill up to where requests are refused.
    pub fn pause(&self, used: u64) -> Duration {
        let left = (self.ceiling / 100 * SHED_FROM).saturating_sub(used);
        Duration::from_millis(left / FILLS).clamp(SOONEST, LATEST)
    }
}
