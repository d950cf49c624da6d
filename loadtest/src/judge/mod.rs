//! What a run may be used for: whether its figures can be stood behind, and whether they pass.

/// Conditions that fail a run, for CI.
mod condition;
/// Reasons to refuse a run's figures.
mod void;

pub use condition::{Condition, Verdict};
pub use void::{Bounds, Generator, GeneratorLoad};
