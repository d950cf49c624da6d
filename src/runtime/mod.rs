//! Worker threads: one per core, each with a current-thread runtime and pools of its own.

pub(crate) mod certificates;
mod cores;
mod descriptors;
mod error;
mod keeping;
mod lister;
pub(crate) mod memory;
mod orders;
mod plan;
mod prober;
mod reloading;
mod running;
mod sockets;
mod start;
mod try_out;
mod warm;
mod worker;

pub use error::StartError;
pub use keeping::Keeping;
pub use reloading::reloader::{Applied, Refused, Reloader};
pub use running::{Running, Stopper};
pub use start::{Origin, start, start_from, start_here};
pub use try_out::try_out;
