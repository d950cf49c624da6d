//! The file as it is written: YAML, where a value stands in it, what is wrong with it, and whether it changed.

pub(in crate::config) mod bounds;
pub(in crate::config) mod env;
pub(in crate::config) mod fault;
pub(in crate::config) mod files;
mod merge;
mod node;
pub(in crate::config) mod stamp;
pub(in crate::config) mod yaml;
