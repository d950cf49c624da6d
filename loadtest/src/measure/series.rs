//! A run over time, or a comparison round by round, in a bounded number of columns: when there are
//! too many, each two become one.

use hdrhistogram::Histogram;

use crate::client::Mono;

use super::kinds::Measure;
use super::recorder::{Interval, coarse_histogram};

/// Most columns kept: more than a chart can show.
const COLUMNS_MAX: usize = 240;
/// Rows of the gap heat map: four for each doubling from a microsecond to a minute, and one below.
pub const HEAT_ROWS: usize = 105;

/// One column.
#[derive(Clone, Debug)]
pub struct Column {
    /// Time to first byte of the requests due in it, to 1 %.
    pub ttfb: Histogram<u64>,
    /// Gaps seen in it by heat-map row.
    pub gaps: Vec<u64>,
    /// Requests due in it that succeeded.
    pub succeeded: u64,
    /// Requests due in it that failed.
    pub failed: u64,
    /// Most requests in flight.
    pub in_flight: u64,
}

impl Default for Column {
    fn default() -> Self {
        let ttfb = coarse_histogram();
        Self { ttfb, gaps: vec![0; HEAT_ROWS], succeeded: 0, failed: 0, in_flight: 0 }
    }
}

impl Column {
    fn join(&mut self, later: &Self) {
        let _ = self.ttfb.add(&later.ttfb);
        self.gaps.iter_mut().zip(&later.gaps).for_each(|(own, other)| *own += other);
        self.succeeded += later.succeeded;
        self.failed += later.failed;
        self.in_flight = self.in_flight.max(later.in_flight);
    }
}

/// What the columns stand for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Axis {
    /// Nanoseconds since this moment.
    Time(Mono),
    /// The slices of a rotation, from 1.
    Rounds,
}

/// A target's run over time.
#[derive(Clone, Debug)]
pub struct Series {
    axis: Axis,
    /// Nanoseconds, or rounds, that a column spans.
    width: u64,
    columns: Vec<Column>,
}

impl Series {
    /// Columns along `axis`, of `width` nanoseconds or rounds at first.
    pub fn new(axis: Axis, width: u64) -> Self {
        Self { axis, width: width.max(1), columns: Vec::new() }
    }

    /// What the columns stand for.
    pub fn axis(&self) -> Axis {
        self.axis
    }

    /// Nanoseconds, or rounds, that a column spans.
    pub fn width(&self) -> u64 {
        self.width
    }

    /// The columns so far.
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// Adds what a worker noted.
    pub fn add(&mut self, interval: &Interval) {
        let place = |at: Mono| match self.axis {
            Axis::Time(begin) => at.since(begin),
            Axis::Rounds => interval.slice.saturating_sub(1) as u64,
        };
        let middle = place(Mono(interval.begin.0.midpoint(interval.end.0)));
        let places: Vec<u64> =
            interval.rows.iter().map(|row| place(row.outcome.stamps.due)).collect();
        if self.axis == Axis::Rounds && interval.slice == 0 {
            return;
        }
        let column = self.column(middle);
        column.in_flight = column.in_flight.max(interval.in_flight);
        for value in interval.gap.iter_recorded() {
            column.gaps[heat_row(value.value_iterated_to())] += value.count_at_value();
        }
        for (row, place) in interval.rows.iter().zip(places) {
            let column = self.column(place);
            if let Some(ttfb) = Measure::Ttfb.of(&row.outcome) {
                let _ = column.ttfb.record(ttfb);
            }
            column.succeeded += u64::from(row.outcome.ok());
            column.failed += u64::from(!row.outcome.ok());
        }
    }

    fn column(&mut self, place: u64) -> &mut Column {
        while place / self.width >= COLUMNS_MAX as u64 {
            let halves = self.columns.chunks(2).map(|pair| {
                let mut joined = pair[0].clone();
                pair.iter().skip(1).for_each(|later| joined.join(later));
                joined
            });
            self.columns = halves.collect();
            self.width *= 2;
        }
        let index = (place / self.width) as usize;
        if self.columns.len() <= index {
            self.columns.resize_with(index + 1, Column::default);
        }
        &mut self.columns[index]
    }
}

/// The heat map's row of a gap.
fn heat_row(nanos: u64) -> usize {
    if nanos < 1000 {
        return 0;
    }
    let above = (4.0 * (nanos as f64 / 1000.0).log2()) as usize;
    (above + 1).min(HEAT_ROWS - 1)
}

/// The smallest gap, in nanoseconds, of a row of the heat map.
pub fn heat_floor(row: usize) -> f64 {
    if row == 0 { 0.0 } else { 1000.0 * ((row - 1) as f64 / 4.0).exp2() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_lies_between_its_rows_bounds() {
        for nanos in [0, 999, 1000, 1001, 12_345, 10_000_000, 59_000_000_000] {
            let row = heat_row(nanos);
            assert!(heat_floor(row) <= nanos as f64 + 1.0, "{nanos}");
            assert!(heat_floor(row + 1) > nanos as f64, "{nanos}");
        }
        assert_eq!(heat_row(u64::MAX), HEAT_ROWS - 1);
    }

    #[test]
    fn columns_stay_bounded_and_lose_nothing() {
        let mut series = Series::new(Axis::Time(Mono(0)), 10);
        for at in 0..100_000 {
            series.column(at).succeeded += 1;
        }
        assert!(series.columns().len() <= COLUMNS_MAX);
        let kept: u64 = series.columns().iter().map(|column| column.succeeded).sum();
        assert_eq!(kept, 100_000);
        let full = &series.columns()[..series.columns().len() - 1];
        assert!(full.iter().all(|column| column.succeeded == series.width()));
    }
}
