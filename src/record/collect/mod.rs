//! Collecting: what workers write, and where it comes together. Nothing here knows a format or a target.

pub(in crate::record) mod collector;
pub(in crate::record) mod durations;
pub(in crate::record) mod failures;
pub(in crate::record) mod finished;
pub(in crate::record) mod instance;
pub(in crate::record) mod labels;
pub(in crate::record) mod ledger;
pub(in crate::record) mod meters;
pub(in crate::record) mod outbox;
pub(in crate::record) mod recordings;
pub(in crate::record) mod slots;
