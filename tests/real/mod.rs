//! Other people's clients and servers.

mod kubernetes;
mod odd_requests;
pub(crate) mod other_origins;
mod providers;
mod real_clients;
mod real_origins;
mod rollout;
