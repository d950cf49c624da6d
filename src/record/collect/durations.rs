//! One distribution of durations.

use std::time::Duration;

use hdrhistogram::Histogram;

/// Values under this many nanoseconds are not told apart: less than two clock reads.
const LOWEST_NS: u64 = 100;
/// Longer durations count as this one (an hour), so that a stuck clock cannot grow the memory.
const LONGEST_NS: u64 = 3_600_000_000_000;
/// Three digits: a quantile is at most 0.1 % above the value that was recorded.
const DIGITS: u8 = 3;

/// Durations as a histogram of nanoseconds with an exact sum and an exact maximum.
///
/// Memory follows what is recorded: none before the first value, 16 KiB up to 131 µs, then 8 KiB
/// for each doubling; 216 KiB if an hour was ever seen. A histogram of the whole range from the
/// start would make 216 KiB resident per series and worker, since `hdrhistogram` writes its zeroes.
#[derive(Default)]
pub(in crate::record) struct Durations {
    counts: Option<Histogram<u64>>,
    sum_ns: u128,
    max_ns: u64,
}

impl Durations {
    /// Adds one value: a few nanoseconds, plus an allocation when it is the longest so far by a
    /// power of two.
    pub(in crate::record) fn record(&mut self, took: Duration) {
        let ns = took.as_secs().saturating_mul(1_000_000_000);
        let ns = ns.saturating_add(u64::from(took.subsec_nanos())).min(LONGEST_NS);
        // Both can only fail on constants out of range or a 16-bit usize.
        if self.counts.is_none() {
            self.counts = empty();
        }
        let Some(counts) = &mut self.counts else { return };
        if counts.record(ns).is_ok() {
            self.sum_ns += u128::from(ns);
            self.max_ns = self.max_ns.max(ns);
        }
    }

    /// Adds all that `other` holds.
    pub(super) fn absorb(&mut self, other: &Durations) {
        let Some(more) = other.counts.as_ref().filter(|more| !more.is_empty()) else { return };
        if self.counts.is_none() {
            self.counts = empty();
        }
        let Some(counts) = &mut self.counts else { return };
        if counts.add(more).is_ok() {
            self.sum_ns += other.sum_ns;
            self.max_ns = self.max_ns.max(other.max_ns);
        }
    }

    /// Forgets the values. The memory is kept, so that a recycled set does not allocate again, but given up
    /// where there was no value: after a peak each of a worker's sets would keep two megabytes.
    pub(in crate::record) fn clear(&mut self) {
        match &mut self.counts {
            Some(counts) if !counts.is_empty() => counts.reset(),
            unused => *unused = None,
        }
        self.sum_ns = 0;
        self.max_ns = 0;
    }

    pub(in crate::record) fn count(&self) -> u64 {
        self.counts.as_ref().map_or(0, Histogram::len)
    }

    pub(in crate::record) fn sum_seconds(&self) -> f64 {
        self.sum_ns as f64 / 1e9
    }

    /// Exact, unlike the quantiles.
    pub(in crate::record) fn max_us(&self) -> f64 {
        self.max_ns as f64 / 1e3
    }

    /// Exact; 0 where nothing was recorded.
    pub(in crate::record) fn mean_us(&self) -> f64 {
        if self.count() == 0 { 0.0 } else { self.sum_ns as f64 / self.count() as f64 / 1e3 }
    }

    /// The smallest duration that a share `quantile` (0 to 1) of the values do not exceed, at most
    /// 0.1 % (or 63 ns) too high and never above the maximum; 0 where nothing was recorded.
    pub(in crate::record) fn quantile_us(&self, quantile: f64) -> f64 {
        let ns = self.counts.as_ref().map_or(0, |counts| counts.value_at_quantile(quantile));
        ns.min(self.max_ns) as f64 / 1e3
    }

    /// How many values are at or under each of `bounds_ns` (ascending). A value within 0.1 % above
    /// a bound may count as under it.
    pub(in crate::record) fn cumulative(&self, bounds_ns: &[u64]) -> Vec<u64> {
        let mut totals = vec![0; bounds_ns.len()];
        let Some(counts) = &self.counts else { return totals };
        for step in counts.iter_recorded() {
            let lowest = counts.lowest_equivalent(step.value_iterated_to());
            let bucket = bounds_ns.partition_point(|&bound| bound < lowest);
            if let Some(total) = totals.get_mut(bucket) {
                *total += step.count_at_value();
            }
        }
        let mut sum = 0;
        for total in &mut totals {
            sum += *total;
            *total = sum;
        }
        totals
    }
}

fn empty() -> Option<Histogram<u64>> {
    let mut counts = Histogram::new_with_bounds(LOWEST_NS, 2 * LOWEST_NS, DIGITS).ok()?;
    counts.auto(true);
    Some(counts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: impl IntoIterator<Item = u64>) -> Durations {
        let mut all = Durations::default();
        values.into_iter().for_each(|us| all.record(Duration::from_micros(us)));
        all
    }

    #[test]
    fn quantiles_of_a_known_set_are_those_of_its_sorted_values_to_a_thousandth() {
        let all = of((1..=10_000).rev());
        for (quantile, exact) in [(0.5, 5_000.0), (0.9, 9_000.0), (0.99, 9_900.0), (0.999, 9_990.0)]
        {
            let got = all.quantile_us(quantile);
            assert!(got >= exact && got <= exact * 1.001, "{quantile}: {got} for {exact}");
        }
        assert!((all.max_us() - 10_000.0).abs() < 1e-9);
        assert!((all.mean_us() - 5_000.5).abs() < 1e-9);
        assert_eq!(all.count(), 10_000);
    }

    #[test]
    fn two_halves_absorbed_are_the_whole_whatever_their_ranges() {
        let whole = of(1..=50_000);
        let (short, long) = (of(1..=100), of(101..=50_000));
        for (first, second) in [(&short, &long), (&long, &short)] {
            let mut sum = Durations::default();
            sum.absorb(first);
            sum.absorb(second);
            assert_eq!((sum.count(), sum.sum_ns, sum.max_ns), (50_000, whole.sum_ns, whole.max_ns));
            assert!((sum.quantile_us(0.99) - whole.quantile_us(0.99)).abs() < 1e-9);
        }
    }

    #[test]
    fn buckets_are_cumulative_and_a_value_on_a_bound_is_inside_it() {
        let all = of([9, 10, 11, 99, 100, 5_000]);
        assert_eq!(all.cumulative(&[10_000, 100_000, 1_000_000]), [2, 5, 5]);
        assert_eq!(Durations::default().cumulative(&[1, 2]), [0, 0]);
    }

    #[test]
    fn a_cleared_set_holds_nothing_and_records_again() {
        let mut all = of([1, 1_000_000]);
        all.clear();
        assert_eq!((all.count(), all.sum_ns, all.max_ns), (0, 0, 0));
        assert!(all.quantile_us(0.5).abs() < 1e-9);
        all.record(Duration::from_micros(7));
        assert!((all.max_us() - 7.0).abs() < 1e-9 && all.quantile_us(1.0) <= 7.0);
    }

    #[test]
    fn a_set_without_a_value_since_it_was_cleared_gives_its_memory_up_and_a_used_one_keeps_it() {
        let mut all = of([1_000_000]);
        all.clear();
        assert!(all.counts.is_some());
        all.clear();
        assert!(all.counts.is_none());
    }

    #[test]
    fn a_century_counts_as_an_hour() {
        let mut all = Durations::default();
        all.record(Duration::from_secs(3_200_000_000));
        assert_eq!((all.count(), all.max_ns), (1, LONGEST_NS));
    }
}
