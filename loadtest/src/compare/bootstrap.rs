//! How sure one can be of a difference: a two-stage bootstrap. Rounds are drawn with replacement,
//! the same for all targets, since what drifts is shared by a round; within a slice each value is
//! drawn as often as a Poisson number says. No distribution is assumed.

use std::collections::BTreeMap;

use crate::measure::{COMPARED, QUANTILES, Sample};
use crate::random::Random;

use super::comparison::{Added, Comparison};

/// Values that must lie beyond a quantile for it to be compared: with fewer it is an anecdote.
const BEYOND_MIN: f64 = 5.0;

/// How the bootstrap is done.
#[derive(Clone, Copy, Debug)]
pub struct Resampling {
    /// How many resamples.
    pub resamples: usize,
    /// Share of them within an interval.
    pub confidence: f64,
    /// Its seed.
    pub seed: u64,
}

/// Compares the targets, the first being the baseline: by target, its samples by slice. Rounds in
/// which some target has no sample are left out.
pub fn compare(
    names: &[String],
    samples: &[BTreeMap<usize, Vec<Sample>>],
    slice_seconds: f64,
    resampling: &Resampling,
) -> Comparison {
    let rounds: Vec<usize> = samples.first().map_or_else(Vec::new, |first| {
        let in_all = |slice: &&usize| samples.iter().all(|target| target.contains_key(slice));
        first.keys().filter(in_all).copied().collect()
    });
    let mut added = Vec::new();
    for (place, measure) in COMPARED.into_iter().enumerate() {
        let tables: Vec<Table> =
            samples.iter().map(|target| Table::new(target, &rounds, place)).collect();
        let resampled = resample(&tables, rounds.len(), resampling);
        for (target, table) in tables.iter().enumerate().skip(1) {
            for (nth, (quantile, share)) in QUANTILES.into_iter().enumerate() {
                if table.total.min(tables[0].total) * (1.0 - share) < BEYOND_MIN {
                    continue;
                }
                let drawn = resampled.iter().map(|draw| draw[target][nth] - draw[0][nth]);
                let (low, high) = interval(drawn.collect(), resampling.confidence);
                let of_rounds = table.rounds_against(&tables[0], share);
                let (baseline, own) = (tables[0].quantile(share), table.quantile(share));
                added.push(Added {
                    target: names[target].clone(),
                    measure: measure.name(),
                    quantile,
                    baseline_ns: baseline,
                    target_ns: own,
                    added_ns: own - baseline,
                    low_ns: low,
                    high_ns: high,
                    within_noise: low <= 0.0 && high >= 0.0,
                    median_of_rounds_ns: median(of_rounds.clone()),
                    rounds_ns: of_rounds,
                });
            }
        }
    }
    Comparison {
        baseline: names.first().cloned().unwrap_or_default(),
        rounds: rounds.len(),
        slice_seconds,
        confidence: resampling.confidence,
        resamples: resampling.resamples,
        added,
    }
}

/// A target's values in one measure, with a count for each round.
struct Table {
    values: Vec<u64>,
    /// By round: place in `values`, and how often.
    rounds: Vec<Vec<(usize, f64)>>,
    weights: Vec<f64>,
    total: f64,
}

impl Table {
    fn new(target: &BTreeMap<usize, Vec<Sample>>, rounds: &[usize], place: usize) -> Self {
        let samples: Vec<&Sample> = rounds.iter().map(|round| &target[round][place]).collect();
        let mut values: Vec<u64> =
            samples.iter().flat_map(|sample| sample.iter().map(|(value, _)| *value)).collect();
        values.sort_unstable();
        values.dedup();
        let place_of = |value: &u64| values.binary_search(value).unwrap_or(0);
        let rounds: Vec<Vec<(usize, f64)>> = samples
            .iter()
            .map(|sample| sample.iter().map(|(v, n)| (place_of(v), *n as f64)).collect())
            .collect();
        let mut weights = vec![0.0; values.len()];
        rounds.iter().flatten().for_each(|(place, count)| weights[*place] += count);
        let total = weights.iter().sum();
        Self { values, rounds, weights, total }
    }

    fn quantile(&self, share: f64) -> f64 {
        quantiles(&self.values, &self.weights, &[share])[0]
    }

    /// The difference to `baseline` within each round that has values of both.
    fn rounds_against(&self, baseline: &Self, share: f64) -> Vec<f64> {
        let of_round = |table: &Self, round: usize| {
            let mut weights = vec![0.0; table.values.len()];
            table.rounds[round].iter().for_each(|(place, count)| weights[*place] += count);
            quantiles(&table.values, &weights, &[share])[0]
        };
        (0..self.rounds.len())
            .filter(|round| !self.rounds[*round].is_empty() && !baseline.rounds[*round].is_empty())
            .map(|round| of_round(self, round) - of_round(baseline, round))
            .collect()
    }

    /// The quantiles of a resample made of the rounds `drawn`.
    fn draw(&self, drawn: &[usize], random: &mut Random, weights: &mut Vec<f64>) -> Vec<f64> {
        weights.clear();
        weights.resize(self.values.len(), 0.0);
        for (place, count) in drawn.iter().flat_map(|round| &self.rounds[*round]) {
            weights[*place] += random.poisson(*count);
        }
        quantiles(&self.values, weights, &QUANTILES.map(|(_, share)| share))
    }
}

/// By resample, target and quantile.
fn resample(tables: &[Table], rounds: usize, resampling: &Resampling) -> Vec<Vec<Vec<f64>>> {
    let mut random = Random::new(resampling.seed);
    let mut weights = Vec::new();
    (0..resampling.resamples)
        .map(|_| {
            let drawn: Vec<usize> = (0..rounds).map(|_| random.below(rounds)).collect();
            tables.iter().map(|table| table.draw(&drawn, &mut random, &mut weights)).collect()
        })
        .collect()
}

/// The values at ascending `shares` of the total weight; 0 where there is none.
fn quantiles(values: &[u64], weights: &[f64], shares: &[f64]) -> Vec<f64> {
    let total: f64 = weights.iter().sum();
    let (mut found, mut sum) = (Vec::with_capacity(shares.len()), 0.0);
    for (value, weight) in values.iter().zip(weights) {
        sum += weight;
        while found.len() < shares.len() && sum >= shares[found.len()] * total && sum > 0.0 {
            found.push(*value as f64);
        }
    }
    let last = found.last().copied().unwrap_or(0.0);
    found.resize(shares.len(), last);
    found
}

fn interval(mut drawn: Vec<f64>, confidence: f64) -> (f64, f64) {
    if drawn.is_empty() {
        return (f64::NEG_INFINITY, f64::INFINITY);
    }
    drawn.sort_by(f64::total_cmp);
    let outside = (1.0 - confidence) / 2.0;
    let at = |share: f64| drawn[((drawn.len() - 1) as f64 * share).round() as usize];
    (at(outside), at(1.0 - outside))
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => 0.0,
        odd if odd % 2 == 1 => values[odd / 2],
        even => f64::midpoint(values[even / 2 - 1], values[even / 2]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RESAMPLING: Resampling = Resampling { resamples: 300, confidence: 0.95, seed: 3 };

    /// Ten rounds of 400 values around `base` nanoseconds, all drifting alike, and `offset` more.
    fn target(offset: f64, seed: u64) -> BTreeMap<usize, Vec<Sample>> {
        let mut random = Random::new(seed);
        let round = |round: usize| {
            let drift = 20_000.0 * ((round * 7 % 10) as f64 - 4.5);
            let draw = |_| (1_000_000.0 + drift + offset + 30_000.0 * random.exponential()) as u64;
            let mut sample: Sample = (0..400).map(draw).map(|value| (value, 1)).collect();
            sample.sort_unstable();
            (round, vec![sample, Vec::new(), Vec::new(), Vec::new()])
        };
        (1..=10).map(round).collect()
    }

    fn ttfb(offset: f64) -> Vec<Added> {
        let names = ["direct".to_owned(), "proxy".to_owned()];
        compare(&names, &[target(0.0, 1), target(offset, 2)], 3.0, &RESAMPLING).added
    }

    #[test]
    fn a_difference_is_found_within_its_interval() {
        let added = &ttfb(50_000.0)[0];
        assert_eq!((added.measure, added.quantile), ("ttfb", "p50"));
        assert!(added.low_ns < 50_000.0 && added.high_ns > 50_000.0, "{added:?}");
        assert!(!added.within_noise && added.high_ns - added.low_ns < 40_000.0, "{added:?}");
        assert!((added.median_of_rounds_ns - 50_000.0).abs() < 8_000.0, "{added:?}");
        assert_eq!(added.rounds_ns.len(), 10);
    }

    #[test]
    fn no_difference_is_within_noise() {
        assert!(ttfb(0.0).iter().all(|added| added.within_noise));
    }

    #[test]
    fn a_quantile_with_too_few_values_beyond_it_is_not_compared() {
        let few = |samples: BTreeMap<usize, Vec<Sample>>| samples.into_iter().take(5).collect();
        let names = ["a".to_owned(), "b".to_owned()];
        let samples = [few(target(0.0, 1)), few(target(0.0, 2))];
        let compared = compare(&names, &samples, 3.0, &RESAMPLING);
        let quantiles: Vec<_> = compared.added.iter().map(|added| added.quantile).collect();
        assert_eq!((compared.rounds, quantiles), (5, vec!["p50", "p90", "p99"]));
    }

    #[test]
    fn quantiles_of_weights_are_those_of_the_values_repeated() {
        let found = quantiles(&[1, 2, 3, 4], &[1.0, 0.0, 2.0, 1.0], &[0.25, 0.5, 0.75, 1.0]);
        assert_eq!(found, [1.0, 3.0, 3.0, 4.0]);
        assert_eq!(quantiles(&[], &[], &[0.5]), [0.0]);
    }
}
