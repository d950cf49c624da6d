//! The cores that workers run on: whose they are, and who has to wait for one.

pub(in crate::runtime) mod pinning;
pub(in crate::runtime) mod starved;
