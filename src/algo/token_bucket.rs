//! A token bucket: so many at once, and so many a second. Pure; time is told.

use std::time::{Duration, Instant};

/// See the module. While there is enough in it, nobody needs to know the time.
#[derive(Debug)]
pub struct Bucket {
    left: u32,
    most: u32,
    a_second: u32,
    /// Up to when what flows in has been counted.
    at: Instant,
}

impl Bucket {
    /// Full, with `most` in it, at `now`; `a_second` flow in.
    pub fn new(most: u32, a_second: u32, now: Instant) -> Self {
        Self { left: most, most, a_second, at: now }
    }

    /// Takes `count`, if there are so many at `now`. What flows in is counted when it is needed: what would
    /// have been too much for the bucket is lost either way, and nobody gets more.
    pub fn take(&mut self, count: u32, now: Instant) -> bool {
        if self.left < count {
            self.fill(now);
        }
        let Some(left) = self.left.checked_sub(count) else { return false };
        self.left = left;
        true
    }

    fn fill(&mut self, now: Instant) {
        let since = now.saturating_duration_since(self.at);
        let came = since.as_millis() * u128::from(self.a_second) / 1000;
        // Parts of one are not lost: the clock moves by whole ones.
        let whole = Duration::from_millis((came * 1000 / u128::from(self.a_second.max(1))) as u64);
        self.at += whole;
        self.left = self.left.saturating_add(came.min(u128::from(self.most)) as u32).min(self.most);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_in_any_time_is_the_burst_and_the_rate() {
        let start = Instant::now();
        let mut bucket = Bucket::new(1000, 50, start);
        let mut taken = 0;
        for ms in 0..20_000 {
            taken += u32::from(bucket.take(1, start + Duration::from_millis(ms)));
        }
        assert!((1990..=2000).contains(&taken), "{taken} of 1000 + 20 s × 50");
    }

    #[test]
    fn it_never_holds_more_than_at_first() {
        let start = Instant::now();
        let mut bucket = Bucket::new(10, 1000, start);
        assert!(bucket.take(10, start));
        let late = start + Duration::from_secs(3600);
        assert!(!bucket.take(11, late));
        assert!(bucket.take(10, late) && !bucket.take(1, late));
    }

    #[test]
    fn slow_taking_goes_on_for_ever() {
        let start = Instant::now();
        let mut bucket = Bucket::new(10, 100, start);
        assert!((0..100_000).all(|nth| bucket.take(1, start + Duration::from_millis(nth * 10))));
    }
}
