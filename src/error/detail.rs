//! What is known of one failure beyond its row of the table, for the client's eyes.

use std::time::Duration;

use http::{HeaderName, HeaderValue};

/// Nothing in it may be a secret: all of it is sent.
#[derive(Debug, Clone, Default)]
pub struct Detail {
    /// In place of the table's sentence.
    pub message: String,
    /// The JSON's `type`, where it is not the kind's.
    pub openai_type: Option<&'static str>,
    /// When to come back, where that is known.
    pub retry_after: Option<Duration>,
    /// Header lines of the answer.
    pub headers: Vec<(HeaderName, HeaderValue)>,
}
