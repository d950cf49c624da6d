//! What a run may be used for: whether its figures can be stood behind, and whether they pass.

/// Conditions that fail a run, for CI.
mod condition;
/// Reasons to refuse a run's figures.
mod invalid;

pub use condition::{Condition, Verdict};
pub use invalid::{Bounds, Generator};
