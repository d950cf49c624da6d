//! Targets taken in rotation within one run, and what each adds to the first.

/// How sure one can be of a difference.
mod bootstrap;
/// What a comparison came to, as data.
mod comparison;
/// Who is measured when.
mod rotation;

pub use bootstrap::{Resampling, compare};
pub use comparison::{Added, Comparison};
pub use rotation::{Rotation, rotate};
