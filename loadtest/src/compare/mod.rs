//! Targets taken in rotation within one run, and what each adds to the first.

/// How sure one can be of a difference.
mod bootstrap;
/// Who is measured when.
mod rotation;
/// What one slice measured.
mod sample;

pub use bootstrap::{Resampling, compare};
pub use rotation::{Rotation, rotate};
pub use sample::{COMPARED, QUANTILES, Sample, Samples};
