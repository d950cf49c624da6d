//! First bytes as they come from all workers: a coarse distribution of atomic counts.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

/// Eight buckets for each doubling: right to within 6 %, which is less than medians scatter.
const PARTS: u32 = 8;
/// From 2^16 ns (66 µs) to 2^41 ns (37 minutes).
const FIRST: u32 = 16;
const DOUBLINGS: u32 = 25;
const BUCKETS: usize = (PARTS * DOUBLINGS) as usize;

/// How long first bytes took since they were last taken.
#[derive(Debug)]
pub(super) struct Samples {
    buckets: [AtomicU32; BUCKETS],
    count: AtomicU32,
}

impl Default for Samples {
    fn default() -> Self {
        Self { buckets: [const { AtomicU32::new(0) }; BUCKETS], count: AtomicU32::new(0) }
    }
}

impl Samples {
    /// One more; how many there are with it.
    pub(super) fn add(&self, took: Duration) -> usize {
        self.buckets[bucket(took)].fetch_add(1, Relaxed);
        self.count.fetch_add(1, Relaxed) as usize + 1
    }

    /// None of them counts.
    pub(super) fn forget(&self) {
        self.count.store(0, Relaxed);
        self.buckets.iter().for_each(|bucket| bucket.store(0, Relaxed));
    }

    /// The median of all that came; they are forgotten. `None` where there were none.
    pub(super) fn take_median(&self) -> Option<Duration> {
        self.count.store(0, Relaxed);
        let counts: Vec<_> = self.buckets.iter().map(|bucket| bucket.swap(0, Relaxed)).collect();
        let mut left = counts.iter().sum::<u32>().div_ceil(2);
        let place = counts.iter().position(|count| {
            left = left.saturating_sub(*count);
            left == 0 && *count > 0
        })?;
        Some(middle(place as u32))
    }
}

fn bucket(took: Duration) -> usize {
    let ns = u64::try_from(took.as_nanos())
        .unwrap_or(u64::MAX)
        .clamp(1 << FIRST, (1 << (FIRST + DOUBLINGS)) - 1);
    let doubling = ns.ilog2();
    let part = (ns >> (doubling - PARTS.ilog2())) as u32 - PARTS;
    ((doubling - FIRST) * PARTS + part) as usize
}

fn middle(place: u32) -> Duration {
    let (doubling, part) = (FIRST + place / PARTS, place % PARTS);
    let unit = 1_u64 << (doubling - PARTS.ilog2());
    Duration::from_nanos(unit * u64::from(PARTS + part) + unit / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_right_to_within_a_bucket_and_is_taken_once() {
        for ms in [1, 3, 20, 777, 60_000] {
            let samples = Samples::default();
            let took = Duration::from_millis(ms);
            (1..=6).for_each(|nth| assert_eq!(samples.add(took), nth));
            (7..=11).for_each(|nth| assert_eq!(samples.add(took * 9), nth));
            assert_eq!(samples.add(Duration::ZERO), 12);
            let off = samples.take_median().unwrap().as_secs_f64() / took.as_secs_f64();
            assert!((0.93..1.07).contains(&off), "{off} of {ms} ms");
            assert_eq!(samples.take_median(), None);
        }
    }

    #[test]
    fn what_is_beyond_all_bounds_is_counted_at_them() {
        assert_eq!((bucket(Duration::ZERO), bucket(Duration::MAX)), (0, BUCKETS - 1));
    }
}
