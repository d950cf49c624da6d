//! The parts of the tree that a configuration file becomes: values and keys that know where they stand.

use super::fault::At;

/// A value and where it stands.
#[derive(Debug, Clone)]
pub(in crate::config) struct Node {
    pub(in crate::config) at: At,
    pub(in crate::config) data: Data,
}

/// What a value is.
#[derive(Debug, Clone)]
pub(in crate::config) enum Data {
    /// Nothing at all, `~` or `null`.
    Nothing,
    /// Text as written, after YAML's own quoting.
    Text(String),
    /// `- a` or `[a]`
    List(Vec<Node>),
    /// `a: b` or `{a: b}`, in order; keys are unique.
    Map(Vec<(Name, Node)>),
}

/// A key and where it stands.
#[derive(Debug, Clone)]
pub(in crate::config) struct Name {
    pub(in crate::config) at: At,
    pub(in crate::config) text: String,
}

/// A fault of the text itself: where, what, hint.
pub(in crate::config) type Flaw = (At, String, String);
