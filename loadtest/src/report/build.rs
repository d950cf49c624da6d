//! From the accounts of the totals to the report.

use hdrhistogram::Histogram;

use crate::measure::series::{Axis, Column, HEAT_ROWS, Series, heat_floor};
use crate::measure::{Account, Measure};

use super::model::{
    ColumnReport, FailureReport, MeasureReport, ProcessReport, SeriesReport, TargetReport,
};

/// The quantiles of a report, by name.
pub(super) const QUANTILES: [(&str, f64); 8] = [
    ("p50", 0.5),
    ("p75", 0.75),
    ("p90", 0.9),
    ("p95", 0.95),
    ("p99", 0.99),
    ("p99.9", 0.999),
    ("p99.99", 0.9999),
    ("p99.999", 0.99999),
];

/// Points of a spectrum for each halving of the distance to 100 %.
const SPECTRUM_TICKS: u32 = 5;

/// What is known of a target beside its account.
#[derive(Clone, Debug)]
pub struct About {
    /// Its name.
    pub name: String,
    /// Its URL.
    pub url: String,
    /// Requests per second asked for, in an open loop.
    pub asked_rate: Option<f64>,
    /// Whether goals are set.
    pub goals: bool,
    /// Its processes on this machine.
    pub processes: Vec<u32>,
}

/// The report of one target.
pub fn target_report(about: &About, account: &Account) -> TargetReport {
    let tally = &account.tally;
    let failures = tally.failures.iter().map(|(kind, count)| {
        let examples = tally.details.get(kind).cloned().unwrap_or_default();
        (kind.name(), FailureReport { count: *count, examples })
    });
    TargetReport {
        name: about.name.clone(),
        url: about.url.clone(),
        seconds: tally.seconds(),
        requests: tally.requests,
        succeeded: tally.succeeded,
        slow_readers: tally.slow,
        good: about.goals.then_some(tally.good),
        failures: failures.collect(),
        statuses: tally.statuses.clone(),
        asked_rate: about.asked_rate,
        started_rate: about.asked_rate.map(|_| tally.started_rate()),
        rate: tally.per_second(tally.requests),
        token_rate: tally.per_second(tally.tokens),
        event_rate: tally.per_second(tally.events),
        byte_rate: tally.per_second(tally.bytes),
        verified: tally.verified,
        connects: tally.connects,
        process: process(about, account),
        measures: Measure::ALL
            .into_iter()
            .filter(|measure| !tally.histogram(*measure).is_empty())
            .map(|measure| measure_report(measure, tally.histogram(measure)))
            .collect(),
        series: series_report(&account.series),
    }
}

fn process(about: &About, account: &Account) -> Option<ProcessReport> {
    let cpu_ns = account.process.running;
    if about.processes.is_empty() || cpu_ns == 0 {
        return None;
    }
    let memory =
        about.processes.iter().filter_map(|pid| crate::measure::host::process_memory(*pid));
    Some(ProcessReport {
        cpu_ns,
        cpu_ns_per_request: cpu_ns as f64 / account.started.max(1) as f64,
        cpu_ns_per_event: cpu_ns as f64 / account.events.max(1) as f64,
        memory_bytes: memory.reduce(|sum, bytes| sum + bytes),
    })
}

fn measure_report(measure: Measure, histogram: &Histogram<u64>) -> MeasureReport {
    // A quantile is told only if at least one value lies beyond it.
    let told = QUANTILES.iter().filter(|(_, share)| histogram.len() as f64 * (1.0 - share) >= 1.0);
    let quantiles = told.map(|(name, share)| (*name, histogram.value_at_quantile(*share)));
    let spectrum = histogram
        .iter_quantiles(SPECTRUM_TICKS)
        .map(|point| (point.quantile_iterated_to(), point.value_iterated_to()));
    MeasureReport {
        name: measure.name(),
        count: histogram.len(),
        mean: histogram.mean(),
        stdev: histogram.stdev(),
        min: histogram.min(),
        quantiles: quantiles.collect(),
        max: histogram.max(),
        spectrum: spectrum.collect(),
    }
}

fn series_report(series: &Series) -> SeriesReport {
    let columns = series.columns().iter().enumerate();
    let width = series.width() as f64;
    let (axis, width) = match series.axis() {
        Axis::Time(_) => ("seconds", width / 1e9),
        Axis::Rounds => ("round", width),
    };
    SeriesReport {
        axis,
        width,
        columns: columns.filter_map(|(at, column)| column_report(at, column)).collect(),
        gap_floors: (0..HEAT_ROWS).map(heat_floor).collect(),
    }
}

fn column_report(at: usize, column: &Column) -> Option<ColumnReport> {
    let gaps: Vec<(usize, u64)> =
        column.gaps.iter().copied().enumerate().filter(|(_, count)| *count > 0).collect();
    if column.succeeded + column.failed == 0 && gaps.is_empty() {
        return None;
    }
    let ttfb = (!column.ttfb.is_empty()).then(|| {
        let at = |share| column.ttfb.value_at_quantile(share);
        [at(0.5), at(0.9), at(0.99), column.ttfb.max()]
    });
    let (succeeded, failed, in_flight) = (column.succeeded, column.failed, column.in_flight);
    Some(ColumnReport { at, succeeded, failed, in_flight, ttfb, gaps })
}
