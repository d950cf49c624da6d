//! How far memory is from its ceiling, and what follows: pure, but for the numbers that workers read.
//!
//! Between two looks memory is not measured. So each look hands out what may be taken until the next one:
//! so much for new requests, and so much for bytes that are held for peers who do not take them.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use tokio::sync::watch;

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
const SOONEST: Duration = Duration::from_millis(2);

/// And at most this far.
const LATEST: Duration = Duration::from_millis(50);

/// What a request that has no answer yet may still take before anybody counts it, in bytes: its task, its
/// streams on both sides, and what its answer's first part pins. A look does not see it, and it may come
/// for all of them at once.
const STILL_TO_COME: u64 = 20 * 1024;

/// The part of the ceiling that those give back who do not read, where requests were refused.
const GIVES_WAY: u64 = 16;

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

/// What those give back who take nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Over {
    /// So much, in all workers together.
    pub bytes: u64,
    /// See [`Headroom::urgent`].
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

    fn after(self, held: u64) -> Self {
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
pub(super) struct Weight {
    pressure: Pressure,
    bytes: u64,
    answered: bool,
}

impl Weight {
    /// Its answer's body has begun: what it takes from here on is counted, or measured.
    pub(super) fn answered(&mut self) {
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
    pub(super) fn weigh(&self, bytes: u64) -> (Weight, bool) {
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

#[cfg(test)]
mod tests {
    use super::*;

    const CEILING: u64 = 1000;

    fn after(ms: u64, start: Instant) -> Instant {
        start + Duration::from_millis(ms)
    }

    #[test]
    fn it_rises_at_once_and_through_both_marks() {
        let start = Instant::now();
        let mut monitor = MemoryMonitor::new(CEILING, start);
        assert_eq!(monitor.see(749, start), Level::Calm);
        assert_eq!(monitor.see(750, start), Level::Shed);
        assert_eq!(monitor.see(900, start), Level::Shut);
        assert_eq!(MemoryMonitor::new(CEILING, start).see(2000, start), Level::Shut);
    }

    #[test]
    fn it_falls_under_a_lower_mark_and_not_before_a_second_is_over() {
        let start = Instant::now();
        let mut monitor = MemoryMonitor::new(CEILING, start);
        assert_eq!(monitor.see(760, start), Level::Shed);
        assert_eq!(monitor.see(600, after(999, start)), Level::Shed, "too early");
        assert_eq!(monitor.see(701, after(2000, start)), Level::Shed, "not low enough");
        assert_eq!(monitor.see(699, after(2000, start)), Level::Calm);
    }

    #[test]
    fn it_falls_step_by_step_or_all_the_way_as_memory_does() {
        let start = Instant::now();
        let mut monitor = MemoryMonitor::new(CEILING, start);
        monitor.see(990, start);
        assert_eq!(monitor.see(780, after(1000, start)), Level::Shed);
        assert_eq!(
            monitor.see(100, after(1500, start)),
            Level::Shed,
            "this level is half a second old"
        );
        assert_eq!(monitor.see(100, after(2000, start)), Level::Calm);
        monitor.see(990, after(2000, start));
        assert_eq!(monitor.see(100, after(3000, start)), Level::Calm);
    }

    #[test]
    fn what_one_look_hands_out_stays_under_the_ceiling_and_says_what_is_too_much() {
        for used in (0..=CEILING).step_by(10) {
            let mut monitor = MemoryMonitor::new(CEILING, Instant::now());
            monitor.see(used, Instant::now());
            let headroom = monitor.headroom(used);
            assert!(
                used + headroom.requests + headroom.held <= CEILING.max(used),
                "{used}: {headroom:?}"
            );
            assert_eq!(headroom.over, if used < 750 { 0 } else { used - 700 });
            assert_eq!(
                (headroom.requests == 0, headroom.held == 0),
                (used >= 749, used >= 697),
                "{used}"
            );
        }
    }

    #[test]
    fn the_nearer_the_ceiling_the_sooner_the_next_look() {
        let monitor = MemoryMonitor::new(1 << 30, Instant::now());
        let pauses = [0, 700 << 20, 740 << 20, 900 << 20].map(|used| monitor.pause(used));
        assert!(pauses.is_sorted_by(|far, near| far > near), "{pauses:?}");
        assert_eq!((pauses[0], pauses[3]), (LATEST, SOONEST));
    }

    #[test]
    fn whoever_looks_sees_what_was_shown_and_nobody_shows_to_nobody() {
        let pressure = Pressure::default();
        let level_setter = pressure.level_setter(CEILING);
        assert_eq!(pressure.level(), Level::Calm);
        assert!(!pressure.look().is_one() && !pressure.is_short());
        let headroom = Headroom { requests: 100, held: 70, over: 0, urgent: false };
        level_setter.show(Level::Shut, headroom);
        assert_eq!(pressure.clone().level(), Level::Shut);
        let first = pressure.look();
        assert!(first.is_one() && first.held() == 70);
        level_setter.show(Level::Shut, headroom);
        assert_ne!(pressure.look(), first, "another look, although it found the same");
        assert!(level_setter.is_seen());
        drop(pressure);
        assert!(!level_setter.is_seen());
    }

    #[test]
    fn requests_weigh_until_they_end_and_each_look_gives_room_anew() {
        let pressure = Pressure::default();
        let level_setter = pressure.level_setter(CEILING);
        assert!(!pressure.weigh(1 << 50).1, "no bound where nobody looks");
        let headroom = Headroom { requests: 100, held: 0, over: 0, urgent: false };
        level_setter.show(Level::Calm, headroom);
        let (mut first, much) = pressure.weigh(60);
        assert!(!much && !pressure.is_short());
        let (second, much) = pressure.weigh(60);
        assert!(much && pressure.is_short());
        drop(second);
        assert!(!pressure.is_short());
        level_setter.show(Level::Calm, headroom);
        assert!(pressure.weigh(1).1, "what the first may still take is measured by nobody");
        first.answered();
        level_setter.show(Level::Calm, headroom);
        assert!(!pressure.weigh(100).1, "what it took is measured by now");
        drop(first);
        level_setter.show(Level::Calm, Headroom { requests: STILL_TO_COME, ..headroom });
        let (_waits, _) = pressure.weigh(1);
        level_setter.show(Level::Calm, Headroom { requests: STILL_TO_COME, ..headroom });
        assert!(!pressure.weigh(STILL_TO_COME / 2).1 && pressure.weigh(STILL_TO_COME).1);
    }
}
