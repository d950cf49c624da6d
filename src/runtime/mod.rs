//! Worker threads: one per core, pinned, each with a current-thread runtime and pools of its own.

mod running;
mod start;
mod warm;
mod worker;

pub use running::{Running, Stopper};
pub use start::{StartError, start, start_here};

/// What a running proxy is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    Serve,
    /// Listeners close, connections finish, until the drain deadline.
    Drain,
    /// Now.
    Stop,
}
