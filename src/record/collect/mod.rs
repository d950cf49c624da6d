//! Counting: what workers write, and where it comes together. Nothing here knows a format.

pub(in crate::record) mod ceilings;
mod configured;
pub(in crate::record) mod dns;
pub(in crate::record) mod durations;
pub(in crate::record) mod finished;
pub(in crate::record) mod hub;
pub(in crate::record) mod labels;
pub(in crate::record) mod ledger;
pub(in crate::record) mod meters;
pub(in crate::record) mod outbox;
pub(in crate::record) mod recordings;
pub(in crate::record) mod slots;
