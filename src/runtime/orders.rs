//! What a running proxy is told to do.

/// What a running proxy is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// Another process accepts; be warm until it is your turn.
    Hold,
    Serve,
    /// Listeners close, connections finish, until the drain deadline.
    Drain,
    /// Now.
    Stop,
}
