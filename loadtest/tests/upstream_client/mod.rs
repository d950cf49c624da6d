//! Clients plain enough to be trusted: what the mock did is visible through them and nothing else.
#![allow(dead_code, reason = "each test binary uses its part")]

mod h2_client;
mod http1_client;

pub(crate) use h2_client::{H2Answer, H2Client};
pub(crate) use http1_client::{Http1Answer, http1_connect, http1_read, http1_request};
