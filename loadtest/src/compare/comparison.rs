//! What a comparison came to, as data. All times are nanoseconds.

use serde::Serialize;

use crate::measure::{Measure, QUANTILES};

/// What each target adds to the baseline.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Comparison {
    /// Name of the first target.
    pub baseline: String,
    /// Rounds in which every target had a slice.
    pub rounds: usize,
    /// Length of a slice in seconds.
    pub slice_seconds: f64,
    /// Share of the bootstrap's resamples within each interval.
    pub confidence: f64,
    /// Resamples drawn.
    pub resamples: usize,
    /// One per target but the baseline, measure and quantile.
    pub added: Vec<Added>,
}

impl Comparison {
    /// What `target` adds in `measure` at a quantile (0 to 1), in nanoseconds, if that was compared.
    pub fn added_by(&self, target: &str, measure: Measure, quantile: f64) -> Option<f64> {
        let share = |name| QUANTILES.iter().find(|(own, _)| *own == name).map(|(_, share)| *share);
        let fits = |added: &&Added| {
            added.target == target
                && added.measure == measure.name()
                && share(added.quantile).is_some_and(|share| (share - quantile).abs() < 1e-9)
        };
        self.added.iter().find(fits).map(|added| added.added_ns)
    }
}

/// What one target adds in one measure at one quantile, in nanoseconds.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Added {
    /// The target's name.
    pub target: String,
    /// The measure's name.
    pub measure: &'static str,
    /// The quantile's name.
    pub quantile: &'static str,
    /// The baseline's own value, all slices together.
    pub baseline_ns: f64,
    /// The target's own value, all slices together.
    pub target_ns: f64,
    /// Their difference.
    pub added_ns: f64,
    /// Lower end of its confidence interval.
    pub low_ns: f64,
    /// Upper end of its confidence interval.
    pub high_ns: f64,
    /// Whether 0 is within the interval: then nothing was shown either way.
    pub within_noise: bool,
    /// Median over the rounds of the difference within a round.
    pub median_of_rounds_ns: f64,
    /// The difference within each round.
    pub rounds_ns: Vec<f64>,
}
