//! How busy the workers of the generator were, and how starved.

use std::collections::BTreeMap;

use super::host::ThreadTime;
use super::recorder::Interval;

/// Adds up the workers' time.
#[derive(Clone, Debug, Default)]
pub struct GeneratorLoad {
    workers: BTreeMap<usize, (ThreadTime, u64)>,
}

impl GeneratorLoad {
    /// One worker that ran for `span` nanoseconds.
    #[cfg(test)]
    pub(crate) fn of_one(time: ThreadTime, span: u64) -> Self {
        Self { workers: BTreeMap::from([(0, (time, span))]) }
    }

    /// Adds what a worker noted of itself.
    pub fn add(&mut self, interval: &Interval) {
        let (time, span) = self.workers.entry(interval.worker).or_default();
        *time = time.plus(interval.cpu);
        *span += interval.end.since(interval.begin);
    }

    /// The busiest worker's share of time on a processor, and the most starved one's without.
    pub fn shares(&self) -> (f64, f64) {
        let share = |pick: fn(&ThreadTime) -> u64| {
            let shares = self.workers.values().map(|(time, span)| {
                if *span == 0 { 0.0 } else { pick(time) as f64 / *span as f64 }
            });
            shares.fold(0.0, f64::max)
        };
        (share(|time| time.running), share(|time| time.waiting))
    }
}
