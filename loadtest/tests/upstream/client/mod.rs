//! Clients plain enough to be trusted: what the mock did is visible through them and nothing else.

mod h2_client;
mod http1_client;

/// Bounds every wait: long enough for a busy machine, and never slept through when things go right.
pub(crate) const SOON: std::time::Duration = std::time::Duration::from_secs(20);

pub(crate) use h2_client::{H2Answer, H2Client};
pub(crate) use http1_client::{Http1Answer, http1_connect, http1_read, http1_request};
