//! HdrHistogram's own formats, for its public tools: percentile distributions (`.hgrm`) and V2
//! interval logs. Values are milliseconds in the first and nanoseconds in the second, as those
//! tools expect.

use std::io::{self, Write};
use std::time::{Duration, SystemTime};

use hdrhistogram::Histogram;
use hdrhistogram::serialization::V2DeflateSerializer;
use hdrhistogram::serialization::interval_log::{IntervalLogWriterBuilder, Tag};

use crate::client::Mono;
use crate::measure::{Interval, Measure, request_histogram};

/// Points for each halving of the distance to 100 %, as its tools print by default.
const TICKS: u32 = 5;
/// Nanoseconds in the unit of `.hgrm` files.
const UNIT: f64 = 1e6;

/// Writes a percentile distribution in milliseconds.
pub(super) fn write_hgrm(histogram: &Histogram<u64>, mut out: impl Write) -> io::Result<()> {
    writeln!(
        out,
        "{:>12} {:>14} {:>10} {:>14}\n",
        "Value", "Percentile", "TotalCount", "1/(1-Percentile)"
    )?;
    let mut below = 0;
    for point in histogram.iter_quantiles(TICKS) {
        below += point.count_since_last_iteration();
        let (value, quantile) =
            (point.value_iterated_to() as f64 / UNIT, point.quantile_iterated_to());
        write!(out, "{value:12.3} {quantile:14.12} {below:10}")?;
        if quantile < 1.0 {
            writeln!(out, " {:14.2}", 1.0 / (1.0 - quantile))?;
        } else {
            writeln!(out)?;
        }
    }
    let (mean, stdev) = (histogram.mean() / UNIT, histogram.stdev() / UNIT);
    writeln!(out, "#[Mean    = {mean:12.3}, StdDeviation   = {stdev:12.3}]")?;
    let (max, total) = (histogram.max() as f64 / UNIT, histogram.len());
    writeln!(out, "#[Max     = {max:12.3}, Total count    = {total:12}]")?;
    let buckets = histogram.buckets();
    let sub_buckets = 2 << (f64::from(histogram.sigfig()) * 10_f64.log2()).ceil() as u32;
    writeln!(out, "#[Buckets = {buckets:12}, SubBuckets     = {sub_buckets:12}]")
}

/// The measures whose intervals are logged.
const LOGGED: [Measure; 5] =
    [Measure::Ttfb, Measure::Ttft, Measure::Gap, Measure::LegDown, Measure::Total];

/// The header of an interval log that begins at `start`, with the run's command as a comment.
pub(super) fn begin_log(mut out: impl Write, start: SystemTime, command: &str) -> io::Result<()> {
    let mut serializer = V2DeflateSerializer::new();
    let comment = format!(
        "[Histogram log format version 1.3]\n[Logged by loadtest {}: {command}]",
        env!("CARGO_PKG_VERSION")
    );
    IntervalLogWriterBuilder::new()
        .add_comment(&comment)
        .with_start_time(start)
        .with_base_time(start)
        .begin_log_with(&mut out, &mut serializer)?;
    let columns =
        ["StartTimestamp", "Interval_Length", "Interval_Max", "Interval_Compressed_Histogram"];
    writeln!(out, "\"{}\"", columns.join("\",\""))
}

/// Adds `interval` to a log whose run began at `begin`: a line per measure that has values, tagged
/// `target/measure`, in nanoseconds.
pub(super) fn log_interval(
    interval: &Interval,
    target: &str,
    begin: Mono,
    mut out: impl Write,
) -> io::Result<()> {
    let at = Duration::from_nanos(interval.begin.since(begin));
    let length = Duration::from_nanos(interval.end.since(interval.begin));
    for measure in LOGGED {
        let owned;
        let histogram = match measure {
            Measure::Gap => &interval.gap,
            Measure::LegDown => &interval.leg,
            _ => {
                owned = of_rows(interval, measure);
                &owned
            }
        };
        if !histogram.is_empty() {
            let tag = tag(target, measure);
            log_line(histogram, &tag, at, length, &mut out)?;
        }
    }
    Ok(())
}

fn of_rows(interval: &Interval, measure: Measure) -> Histogram<u64> {
    let mut histogram = request_histogram();
    for row in &interval.rows {
        if let Some(value) = measure.of(&row.outcome) {
            let _ = histogram.record(value);
        }
    }
    histogram
}

/// A tag has no comma, space or line break.
fn tag(target: &str, measure: Measure) -> String {
    let plain = |c: char| if c == ',' || c.is_whitespace() { '_' } else { c };
    format!("{}/{}", target.chars().map(plain).collect::<String>(), measure.name())
}

fn log_line(
    histogram: &Histogram<u64>,
    tag: &str,
    at: Duration,
    length: Duration,
    out: &mut impl Write,
) -> io::Result<()> {
    let mut serializer = V2DeflateSerializer::new();
    // A builder without header lines continues a log: only interval lines follow.
    let mut line = Vec::new();
    let mut writer = IntervalLogWriterBuilder::new()
        .begin_log_with(&mut line, &mut serializer)
        .map_err(io::Error::other)?;
    writer
        .write_histogram(histogram, at, length, Tag::new(tag))
        .map_err(|error| io::Error::other(format!("{error:?}")))?;
    out.write_all(&line)
}
