//! How far memory is from its ceiling, and what follows: pure, but for the one number that workers read.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

/// Per cent of the ceiling from which on new requests are refused. What is under way may still grow by
/// the rest of its windows: a quarter of the ceiling is left for that, and for what came between two looks.
const SHED_FROM: u64 = 75;

/// Per cent from which on new connections are refused too: each costs some kilobytes before it asks.
const SHUT_FROM: u64 = 90;

/// A level is left this many per cent lower than it was entered, or it would be left and entered with
/// every request.
const BACK: u64 = 5;

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

/// Decides the level from one look after the other.
#[derive(Debug)]
pub struct Watch {
    ceiling: u64,
    level: Level,
    since: Instant,
}

impl Watch {
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
}

/// The level as all workers see it. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Pressure(Arc<AtomicU8>);

/// The end that sets it, for as long as anybody looks.
#[derive(Debug)]
pub struct Gauge(Weak<AtomicU8>);

impl Pressure {
    /// The level now.
    pub fn level(&self) -> Level {
        match self.0.load(Ordering::Relaxed) {
            0 => Level::Calm,
            1 => Level::Shed,
            _ => Level::Shut,
        }
    }

    /// The other end.
    pub fn gauge(&self) -> Gauge {
        Gauge(Arc::downgrade(&self.0))
    }
}

impl Gauge {
    /// Shows a level; `false` once nobody looks any more.
    pub fn show(&self, level: Level) -> bool {
        let seen = self.0.upgrade();
        if let Some(seen) = &seen {
            seen.store(level as u8, Ordering::Relaxed);
        }
        seen.is_some()
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
        let mut watch = Watch::new(CEILING, start);
        assert_eq!(watch.see(749, start), Level::Calm);
        assert_eq!(watch.see(750, start), Level::Shed);
        assert_eq!(watch.see(900, start), Level::Shut);
        assert_eq!(Watch::new(CEILING, start).see(2000, start), Level::Shut);
    }

    #[test]
    fn it_falls_under_a_lower_mark_and_not_before_a_second_is_over() {
        let start = Instant::now();
        let mut watch = Watch::new(CEILING, start);
        assert_eq!(watch.see(760, start), Level::Shed);
        assert_eq!(watch.see(600, after(999, start)), Level::Shed, "too early");
        assert_eq!(watch.see(701, after(2000, start)), Level::Shed, "not low enough");
        assert_eq!(watch.see(699, after(2000, start)), Level::Calm);
    }

    #[test]
    fn it_falls_step_by_step_or_all_the_way_as_memory_does() {
        let start = Instant::now();
        let mut watch = Watch::new(CEILING, start);
        watch.see(990, start);
        assert_eq!(watch.see(780, after(1000, start)), Level::Shed);
        assert_eq!(
            watch.see(100, after(1500, start)),
            Level::Shed,
            "this level is half a second old"
        );
        assert_eq!(watch.see(100, after(2000, start)), Level::Calm);
        watch.see(990, after(2000, start));
        assert_eq!(watch.see(100, after(3000, start)), Level::Calm);
    }

    #[test]
    fn whoever_looks_sees_what_was_shown_and_nobody_shows_to_nobody() {
        let pressure = Pressure::default();
        let gauge = pressure.gauge();
        assert_eq!(pressure.level(), Level::Calm);
        assert!(gauge.show(Level::Shut));
        assert_eq!(pressure.clone().level(), Level::Shut);
        drop(pressure);
        assert!(!gauge.show(Level::Calm));
    }
}
