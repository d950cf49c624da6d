//! What one slice measured, small enough to keep for every slice.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;

use super::kinds::Measure;
use super::recorder::{Interval, event_histogram};

/// The measures that are compared.
pub const COMPARED: [Measure; 4] = [Measure::Ttfb, Measure::Gap, Measure::LegDown, Measure::Total];

/// The quantiles at which they are compared.
pub const QUANTILES: [(&str, f64); 4] =
    [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999)];

/// Values and how often each occurred, ascending.
pub type Sample = Vec<(u64, u64)>;

/// The samples of one target: by slice, one for each of [`COMPARED`].
#[derive(Clone, Debug, Default)]
pub struct Samples {
    closed: BTreeMap<usize, Vec<Sample>>,
    /// The slice being measured.
    present: Option<(usize, Vec<Histogram<u64>>)>,
}

impl Samples {
    /// Adds what a worker noted; the slices of a target come one after the other.
    pub fn add(&mut self, interval: &Interval) {
        if self.present.as_ref().is_none_or(|(slice, _)| *slice != interval.slice) {
            self.close();
            let fresh = COMPARED.iter().map(|_| event_histogram()).collect();
            self.present = Some((interval.slice, fresh));
        }
        let Some((_, histograms)) = &mut self.present else { return };
        for (measure, histogram) in COMPARED.into_iter().zip(histograms) {
            match measure {
                // Neither can fail: the histograms resize themselves.
                Measure::Gap => drop(histogram.add(&interval.gap)),
                Measure::LegDown => drop(histogram.add(&interval.leg)),
                _ => {
                    for row in &interval.rows {
                        if let Some(value) = measure.of(&row.outcome) {
                            let _ = histogram.record(value);
                        }
                    }
                }
            }
        }
    }

    /// The samples by slice; slices without any value left out.
    pub fn finish(mut self) -> BTreeMap<usize, Vec<Sample>> {
        self.close();
        self.closed
    }

    fn close(&mut self) {
        let Some((slice, histograms)) = self.present.take() else { return };
        let sample = |histogram: &Histogram<u64>| -> Sample {
            let values = histogram.iter_recorded();
            values.map(|value| (value.value_iterated_to(), value.count_at_value())).collect()
        };
        let samples: Vec<Sample> = histograms.iter().map(sample).collect();
        if samples.iter().any(|sample| !sample.is_empty()) {
            self.closed.insert(slice, samples);
        }
    }
}
