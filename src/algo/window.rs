//! What an upstream did lately: a count of requests and failures and a coarse distribution of its first
//! bytes, over a window that slides by halves. Of fixed size, whatever the traffic.

use std::time::{Duration, Instant};

/// Two buckets for each doubling, from 1 ms to beyond an hour.
const BUCKETS: usize = 46;

#[derive(Debug, Clone)]
struct Half {
    requests: u32,
    failures: u32,
    first_bytes: [u32; BUCKETS],
}

/// The last one to two halves of the span.
#[derive(Debug, Clone)]
pub struct Window {
    half: Duration,
    since: Instant,
    now: Half,
    before: Half,
}

impl Half {
    const EMPTY: Self = Self { requests: 0, failures: 0, first_bytes: [0; BUCKETS] };
}

impl Window {
    /// Empty, over at most `span`.
    pub fn new(span: Duration, now: Instant) -> Self {
        Self { half: span / 2, since: now, now: Half::EMPTY, before: Half::EMPTY }
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self) {
        (self.now, self.before) = (Half::EMPTY, Half::EMPTY);
    }

    pub(crate) fn failed(&mut self, at: Instant) {
        self.slide(at);
        self.now.requests += 1;
        self.now.failures += 1;
    }

    /// What was counted as answered failed after all.
    pub(crate) fn cut(&mut self, at: Instant) {
        self.slide(at);
        self.now.failures += 1;
    }

    /// An answer began after this time.
    pub fn answered(&mut self, at: Instant, first_byte: Duration) {
        self.slide(at);
        self.now.requests += 1;
        self.now.first_bytes[bucket(first_byte)] += 1;
    }

    pub(crate) fn requests(&self) -> u32 {
        self.now.requests + self.before.requests
    }

    /// Failures of a hundred requests; 0 where there were none.
    pub(crate) fn failure_percent(&self) -> u32 {
        let failures = u64::from(self.now.failures + self.before.failures);
        (failures * 100 / u64::from(self.requests()).max(1)) as u32
    }

    /// The time within which `percent` of a hundred answers began, or up to 1.42 times it; `None` where
    /// fewer than `least` did at all.
    pub fn first_byte(&self, percent: u32, least: u32) -> Option<Duration> {
        let all = || self.now.first_bytes.iter().zip(&self.before.first_bytes).map(|(a, b)| a + b);
        let answers: u32 = all().sum();
        if answers < least.max(1) {
            return None;
        }
        let mut left = (u64::from(answers) * u64::from(percent)).div_ceil(100);
        let place = all().position(|count| {
            left = left.saturating_sub(u64::from(count));
            left == 0
        })?;
        Some(Duration::from_secs_f64(2_f64.powf((place + 1) as f64 / 2.0) / 1e3))
    }

    /// Forgets what is too old by now.
    pub fn slide(&mut self, at: Instant) {
        let passed = at.saturating_duration_since(self.since);
        if passed < self.half {
            return;
        }
        let last = std::mem::replace(&mut self.now, Half::EMPTY);
        self.before = if passed < self.half * 2 { last } else { Half::EMPTY };
        self.since = at;
    }
}

fn bucket(took: Duration) -> usize {
    let ms = took.as_secs_f64() * 1e3;
    ((ms.max(1.0).log2() * 2.0) as usize).min(BUCKETS - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn the_quantile_is_right_to_within_a_bucket() {
        let start = Instant::now();
        for (slow, fast) in [(800, 20), (5, 1), (60_000, 3_000)] {
            let mut window = Window::new(MS * 1000, start);
            (0..80).for_each(|_| window.answered(start, MS * fast));
            (0..20).for_each(|_| window.answered(start, MS * slow));
            let p90 = window.first_byte(90, 100).unwrap();
            assert!(p90 >= MS * slow && p90 < MS * slow * 15 / 10, "{p90:?} for {slow}");
            assert_eq!(window.first_byte(90, 101), None);
        }
    }

    #[test]
    fn what_is_older_than_the_span_is_forgotten_and_what_is_younger_than_half_of_it_is_not() {
        let start = Instant::now();
        let mut window = Window::new(MS * 1000, start);
        (0..10).for_each(|_| window.failed(start));
        assert_eq!((window.requests(), window.failure_percent()), (10, 100));
        window.answered(start + MS * 600, MS);
        assert_eq!((window.requests(), window.failure_percent()), (11, 90));
        window.answered(start + MS * 1200, MS);
        assert_eq!((window.requests(), window.failure_percent()), (2, 0));
        window.failed(start + MS * 9000);
        assert_eq!((window.requests(), window.failure_percent()), (1, 100));
    }
}
