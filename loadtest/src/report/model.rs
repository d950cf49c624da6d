//! The report as data: what `--json` writes and `schema/report.schema.json` describes. All times
//! are nanoseconds.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::compare::Comparison;
use crate::measure::host::Machine;
use crate::verdict::Generator;

/// The format's name and version; a change that breaks readers counts up.
pub const FORMAT: &str = "firstbyte-loadtest/1";

/// All that a run came to.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Report {
    /// `firstbyte-loadtest/1`
    pub format: &'static str,
    /// Version of `loadtest`.
    pub version: &'static str,
    /// When the run began, in UTC (RFC 3339).
    pub taken_at: String,
    /// The command line, secrets left out.
    pub command: String,
    /// Where the generator ran.
    pub machine: Machine,
    /// What was asked of the run, name to value, for people.
    pub settings: BTreeMap<String, String>,
    /// How the generator did; `void` says whether the figures can be stood behind.
    pub generator: Generator,
    /// Conditions that failed the run (`--fail-if`, `--verify`).
    pub failed_conditions: Vec<String>,
    /// What each measure means.
    pub definitions: Vec<Definition>,
    /// One per target, in the order of the command line.
    pub targets: Vec<TargetReport>,
    /// What each target adds to the first; only of a comparison.
    pub comparison: Option<Comparison>,
}

/// What a measure means.
#[derive(Clone, Copy, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Definition {
    /// The measure.
    pub name: &'static str,
    /// Its meaning in a sentence.
    pub means: &'static str,
}

/// What one target did.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct TargetReport {
    /// Its name, or `target` where it has none.
    pub name: String,
    /// Its URL.
    pub url: String,
    /// Seconds in which requests were counted.
    pub seconds: f64,
    /// Requests counted.
    pub requests: u64,
    /// Requests without failure.
    pub succeeded: u64,
    /// Requests read slowly on purpose (`--slow`): counted and checked, but in no latency and never
    /// good.
    pub slow_readers: u64,
    /// Requests within every goal, where goals are set.
    pub good: Option<u64>,
    /// Failures by kind.
    pub failures: BTreeMap<&'static str, FailureReport>,
    /// Answers by status.
    pub statuses: BTreeMap<u16, u64>,
    /// Requests per second asked for, in an open loop.
    pub asked_rate: Option<f64>,
    /// Requests per second that were in fact started, in an open loop.
    pub started_rate: Option<f64>,
    /// Requests counted per second, from the first one due to the last one ended.
    pub rate: f64,
    /// Tokens per second.
    pub token_rate: f64,
    /// Events per second.
    pub event_rate: f64,
    /// Body bytes per second.
    pub byte_rate: f64,
    /// Answers found to be, byte for byte, what the mock upstream sent.
    pub verified: u64,
    /// Requests that had to open a connection.
    pub connects: u64,
    /// What the target's process used, where its id was given.
    pub process: Option<ProcessReport>,
    /// The measures that have values.
    pub measures: Vec<MeasureReport>,
    /// The run over time.
    pub series: SeriesReport,
}

/// Failures of one kind.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct FailureReport {
    /// How many.
    pub count: u64,
    /// Some of them in words.
    pub examples: Vec<String>,
}

/// What a target's process used while its slices ran, by the scheduler's account.
#[derive(Clone, Copy, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ProcessReport {
    /// Processor time in nanoseconds.
    pub cpu_ns: u64,
    /// Per request.
    pub cpu_ns_per_request: f64,
    /// Per event received.
    pub cpu_ns_per_event: f64,
    /// Proportional set size at the end, in bytes.
    pub memory_bytes: Option<u64>,
}

/// The distribution of one measure, in nanoseconds.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct MeasureReport {
    /// Its name.
    pub name: &'static str,
    /// How many values.
    pub count: u64,
    /// Arithmetic mean.
    pub mean: f64,
    /// Standard deviation.
    pub stdev: f64,
    /// Least value.
    pub min: u64,
    /// Quantiles by name: `p50` to `p99.99`.
    pub quantiles: BTreeMap<&'static str, u64>,
    /// Greatest value.
    pub max: u64,
    /// The whole spectrum: quantile (0 to 1) and value.
    pub spectrum: Vec<(f64, u64)>,
}

/// A run over time, or a comparison by its rounds, in columns of equal width.
#[derive(Clone, Debug, Default, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct SeriesReport {
    /// What the columns stand for: `seconds` since the run began, or the `round` of a comparison.
    pub axis: &'static str,
    /// Width of a column on that axis.
    pub width: f64,
    /// Columns that have any request or gap.
    pub columns: Vec<ColumnReport>,
    /// Least gap, in nanoseconds, of each row of the heat map.
    pub gap_floors: Vec<f64>,
}

/// One column.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ColumnReport {
    /// Its number; it begins that many widths after the run did.
    pub at: usize,
    /// Requests due in it that succeeded.
    pub succeeded: u64,
    /// Requests due in it that failed.
    pub failed: u64,
    /// Most requests in flight.
    pub in_flight: u64,
    /// Time to first byte: p50, p90, p99 and greatest; absent without requests.
    pub ttfb: Option<[u64; 4]>,
    /// Rows of the gap heat map that have any: row and count.
    pub gaps: Vec<(usize, u64)>,
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A report of nothing, of one target named `name`.
    pub(crate) fn report(name: &str) -> Report {
        use crate::measure::GeneratorLoad;
        use crate::measure::series::{Axis, Series};
        use crate::verdict::Bounds;
        let (lag, load) = (crate::measure::request_histogram(), GeneratorLoad::default());
        let series = Series::new(Axis::Rounds, 1);
        let totals = crate::measure::Totals::new(1, crate::measure::Goals::default(), &series);
        let about = crate::report::About {
            name: name.into(),
            url: "http://127.0.0.1:1".into(),
            asked_rate: None,
            goals: false,
            processes: Vec::new(),
        };
        Report {
            format: FORMAT,
            version: "0",
            taken_at: String::new(),
            command: String::new(),
            machine: crate::measure::host::machine(),
            settings: BTreeMap::new(),
            generator: Generator::judge(&lag, &load, true, &Bounds::default()),
            failed_conditions: Vec::new(),
            definitions: Vec::new(),
            targets: vec![crate::report::target_report(&about, &totals.accounts[0])],
            comparison: None,
        }
    }

    const SCHEMA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/schema/report.schema.json");

    /// Run with `BLESS=1` to write the schema anew after a change of the report.
    #[test]
    fn the_schema_in_the_repository_is_that_of_the_report() {
        let schema = serde_json::to_string_pretty(&schemars::schema_for!(Report)).unwrap() + "\n";
        if std::env::var_os("BLESS").is_some() {
            std::fs::write(SCHEMA, &schema).unwrap();
        }
        assert_eq!(std::fs::read_to_string(SCHEMA).unwrap(), schema);
    }
}
