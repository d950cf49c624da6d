//! What a process holds over time, and whether that grows.

use std::fs;

use serde::Serialize;

use crate::measure::host::process_memory;

/// Growth over the second half that still counts as flat: this share of the mean…
const FLAT_SHARE: f64 = 0.10;
/// …or, where that is less, so many bytes: an allocator's segment or two.
const FLAT_BYTES: f64 = 4.0 * 1024.0 * 1024.0;
/// …or so many descriptors: a pool that breathes.
const FLAT_DESCRIPTORS: f64 = 16.0;

/// One look at the process.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Sample {
    /// Seconds since the soak began.
    pub(super) seconds: f64,
    /// Proportional set size in bytes.
    pub(super) memory: u64,
    /// Open file descriptors.
    pub(super) descriptors: u64,
    /// Requests that have ended.
    pub(super) requests: u64,
}

impl Sample {
    /// Looks at process `pid`; `None` once it is gone.
    pub(super) fn take(pid: u32, seconds: f64, requests: u64) -> Option<Self> {
        let descriptors = fs::read_dir(format!("/proc/{pid}/fd")).ok()?.count() as u64;
        Some(Self { seconds, memory: process_memory(pid)?, descriptors, requests })
    }
}

/// How one quantity went in the second half of the soak.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Trend {
    /// What.
    pub(super) name: &'static str,
    /// Mean of the second half.
    pub(super) mean: f64,
    /// Rise over the second half, by a straight line of least squares.
    pub(super) rise: f64,
    /// The largest rise that counts as flat.
    pub(super) bound: f64,
}

impl Trend {
    /// Whether it did not grow.
    pub(super) fn is_flat(&self) -> bool {
        self.rise <= self.bound
    }

    /// The trends of memory and descriptors.
    pub(super) fn of(samples: &[Sample]) -> [Self; 2] {
        let late = &samples[samples.len() / 2..];
        let trend = |name, floor: f64, value: fn(&Sample) -> u64| {
            let points: Vec<(f64, f64)> =
                late.iter().map(|sample| (sample.seconds, value(sample) as f64)).collect();
            let (mean, rise) = fit(&points);
            Self { name, mean, rise, bound: floor.max(mean * FLAT_SHARE) }
        };
        [
            trend("memory (PSS), bytes", FLAT_BYTES, |sample| sample.memory),
            trend("file descriptors", FLAT_DESCRIPTORS, |sample| sample.descriptors),
        ]
    }
}

/// Mean, and rise from the first point to the last along the line of least squares.
fn fit(points: &[(f64, f64)]) -> (f64, f64) {
    let count = points.len() as f64;
    if points.is_empty() {
        return (0.0, 0.0);
    }
    let mean_x = points.iter().map(|(x, _)| x).sum::<f64>() / count;
    let mean_y = points.iter().map(|(_, y)| y).sum::<f64>() / count;
    let spread: f64 = points.iter().map(|(x, _)| (x - mean_x).powi(2)).sum();
    let along: f64 = points.iter().map(|(x, y)| (x - mean_x) * (y - mean_y)).sum();
    let span = points[points.len() - 1].0 - points[0].0;
    (mean_y, if spread > 0.0 { along / spread * span } else { 0.0 })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    fn samples(memory: impl Fn(f64) -> f64) -> Vec<Sample> {
        let mut random = Random::new(5);
        let mut sample = |n: u32| {
            let seconds = f64::from(n);
            let memory = (memory(seconds) + 1e6 * random.normal()) as u64;
            Sample { seconds, memory, descriptors: 100 + u64::from(n % 7), requests: 0 }
        };
        (0..180).map(&mut sample).collect()
    }

    #[test]
    fn a_warm_up_is_no_growth_and_a_leak_is() {
        let [memory, descriptors] = Trend::of(&samples(|t| 20e6 + 10e6 * (t / 20.0).min(1.0)));
        assert!(memory.is_flat() && descriptors.is_flat(), "{memory:?} {descriptors:?}");
        // 80 KB a second: a kilobyte for each of 80 requests.
        let [memory, _] = Trend::of(&samples(|t| 20e6 + 80e3 * t));
        assert!(!memory.is_flat() && (memory.rise - 7.2e6).abs() < 1e6, "{memory:?}");
    }

    #[test]
    fn this_process_can_be_looked_at() {
        let own = Sample::take(std::process::id(), 0.0, 0).unwrap();
        assert!(own.memory > 0 && own.descriptors > 2);
        assert!(Sample::take(u32::MAX, 0.0, 0).is_none());
    }
}
