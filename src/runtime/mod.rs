//! Worker threads: one per core, pinned, each with a current-thread runtime and pools of its own.

mod build;
mod descriptors;
pub(crate) mod give_back;
mod memory;
mod plan;
mod prober;
mod reload;
mod reload_worker;
mod running;
mod sockets;
mod start;
mod warm;
mod worker;

pub use reload::{Applied, Refused, Reloader};
pub use running::{Running, Stopper};
pub use start::{Origin, StartError, start, start_from, start_here};

/// What a running proxy is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    /// Another process accepts; be warm until it is your turn.
    Hold,
    Serve,
    /// Listeners close, connections finish, until the drain deadline.
    Drain,
    /// Now.
    Stop,
}
