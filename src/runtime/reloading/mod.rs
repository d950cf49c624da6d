//! Reloads: one configuration takes over from another, worker by worker.

pub(in crate::runtime) mod build;
pub(in crate::runtime) mod reloader;
pub(in crate::runtime) mod tidying;
pub(in crate::runtime) mod together;
pub(in crate::runtime) mod worker;
