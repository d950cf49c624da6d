//! What an answer cost, in tokens, as its upstream counted them.

/// Tokens of one answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Of the request, with all that was read from or written to the upstream's cache of prompts.
    pub input: u64,
    /// The part of `input` that was read from that cache.
    pub cached: u64,
    /// Of the answer, with those of a reasoning that it does not show.
    pub output: u64,
}
