//! A scripted OpenAI-compatible mock upstream and a streaming load client.

/// Certificates made at start, and TLS configurations that trust exactly them.
pub mod tls;
/// The mock upstream: what it answers is a script, what it saw is a log.
pub mod upstream;
