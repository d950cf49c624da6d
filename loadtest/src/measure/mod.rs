//! What is measured, and how it is kept.

/// The workers' own time.
mod generator_load;
/// Goodput's goals.
mod goal;
/// The machine and this process's share of it.
pub mod host;
/// What is measured, each with its definition.
mod kinds;
/// What a worker notes on the data path.
mod recorder;
/// What one slice measured.
mod samples;
/// A run over time.
pub mod series;
/// The sums of a target's requests.
mod tally;
/// Where all workers' notes come together.
mod totals;

pub use generator_load::GeneratorLoad;
pub use goal::Goals;
pub use kinds::{Measure, tokens};
pub use recorder::{Interval, Recorder, Row, StreamWatch, event_histogram, request_histogram};
pub use samples::{COMPARED, QUANTILES, Sample, Samples};
pub use tally::Tally;
pub use totals::{Account, Totals};
