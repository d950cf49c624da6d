//! Connections to upstreams: how they come, go, and fail.

mod accused;
mod answer_heads;
mod goaway;
mod goaway_crowd;
pub(crate) mod hostile;
mod http1;
mod large_heads;
mod names;
mod pool;
mod reach;
mod ready;
mod silence;
mod stream_limit;
mod unreachable;
