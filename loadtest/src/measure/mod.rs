//! What is measured, and how it is kept.

/// The machine and this process's share of it.
pub mod host;
/// What a worker notes on the data path.
mod recorder;

pub use recorder::{Interval, Recorder, Row, StreamWatch, event_histogram, request_histogram};
