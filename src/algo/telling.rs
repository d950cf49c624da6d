//! When to say again that something goes on failing: at once, then once a minute with a count, and once when
//! it is over.

use std::time::{Duration, Instant};

/// Between two lines about the same trouble.
const AGAIN: Duration = Duration::from_secs(60);

/// What comes and goes is told as new this long after it was said to be over, or each of its turns were a
/// line.
const CALM: Duration = Duration::from_secs(10);

/// What was said of one trouble, and when.
#[derive(Debug, Default)]
pub struct Telling {
    /// When it began; none where there is no trouble.
    since: Option<Instant>,
    /// Failures that no line has counted.
    untold: u64,
    /// It was said that there is trouble, and not that it is over.
    is_told: bool,
    /// No line before this time.
    quiet_until: Option<Instant>,
}

/// What a line says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Told {
    /// Failures since the line before, this one included.
    pub failures: u64,
    /// For how long the trouble has lasted.
    pub lasts: Duration,
}

impl Telling {
    /// It failed; what to say, if it is time to.
    pub fn failed(&mut self, now: Instant) -> Option<Told> {
        let since = *self.since.get_or_insert(now);
        self.untold += 1;
        if self.quiet_until.is_some_and(|until| now < until) {
            return None;
        }
        (self.is_told, self.quiet_until) = (true, Some(now + AGAIN));
        let failures = std::mem::take(&mut self.untold);
        Some(Told { failures, lasts: now.saturating_duration_since(since) })
    }

    /// It works; what to say, where the trouble was told.
    pub fn works(&mut self, now: Instant) -> Option<Told> {
        let since = self.since.take()?;
        let failures = std::mem::take(&mut self.untold);
        if !std::mem::take(&mut self.is_told) {
            return None;
        }
        self.quiet_until = Some(now + CALM);
        Some(Told { failures, lasts: now.saturating_duration_since(since) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(start: Instant, seconds: u64) -> Instant {
        start + Duration::from_secs(seconds)
    }

    #[test]
    fn trouble_is_told_at_once_then_once_a_minute_with_its_failures_and_once_when_it_is_over() {
        let (mut telling, start) = (Telling::default(), Instant::now());
        let told: Vec<_> =
            (0..300).filter_map(|second| telling.failed(after(start, second))).collect();
        let counts: Vec<_> =
            told.iter().map(|told| (told.failures, told.lasts.as_secs())).collect();
        assert_eq!(counts, [(1, 0), (60, 60), (60, 120), (60, 180), (60, 240)]);
        let over = telling.works(after(start, 300)).expect("it was told");
        assert_eq!((over.failures, over.lasts.as_secs()), (59, 300));
        assert_eq!(telling.works(after(start, 301)), None);
    }

    #[test]
    fn new_trouble_is_told_at_once_and_what_comes_and_goes_is_not_told_each_time() {
        let (mut telling, start) = (Telling::default(), Instant::now());
        assert!(telling.failed(start).is_some() && telling.works(after(start, 1)).is_some());
        for second in (2..11).step_by(2) {
            assert_eq!(telling.failed(after(start, second)), None);
            assert_eq!(telling.works(after(start, second + 1)), None);
        }
        assert_eq!(telling.failed(after(start, 60)).map(|told| told.failures), Some(1));
    }
}
