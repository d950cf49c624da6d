//! What crosses the proxy. The pure decisions are here; I/O joins them from the rooms above.

/// Request heads toward the upstream, answer heads toward the client.
pub mod head;
/// Whether a failed request may be sent a second time.
pub mod replay;
