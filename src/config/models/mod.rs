//! Models by their names: which patterns rules use, and what metrics and reports call a model.

pub(super) mod by_model;
mod glob;

pub use by_model::ByModel;
pub use glob::Glob;
pub(super) use glob::GlobText;

/// What counts that no pattern names.
pub const OTHER: &str = "other";

/// Index into the patterns of a configuration, which are the labels of models.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ModelId(pub usize);

/// All patterns of a configuration, each once, in the order in which they are met.
pub(super) fn patterns<'a>(all: impl Iterator<Item = &'a Glob>) -> Vec<Glob> {
    let mut patterns: Vec<Glob> = Vec::new();
    for glob in all {
        if !patterns.contains(glob) {
            patterns.push(glob.clone());
        }
    }
    patterns
}
