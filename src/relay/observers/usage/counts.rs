//! The members of a `usage` object, in the words of every API, and what they come to.

use super::json::members;
use crate::record::Usage;

/// No answer has more tokens. Times any price, this still fits a sum of money.
const MOST: u64 = 1 << 40;

/// Counts as an upstream wrote them; the last of each, where one is there twice.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counts {
    /// `OpenAI`'s words: of the request, all of it.
    prompt: Option<u64>,
    completion: Option<u64>,
    total: Option<u64>,
    /// Those of Responses, and of Anthropic's Messages.
    input: Option<u64>,
    output: Option<u64>,
    /// The part of the request that was read from the cache.
    cached: Option<u64>,
    /// Anthropic's: read from and written to the cache.
    read: Option<u64>,
    written: Option<u64>,
    /// Something that should be a count is none.
    is_invalid: bool,
}

/// What they come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sum {
    /// No tokens are counted here: the object is empty, or counts seconds.
    Nothing,
    /// Of the answer alone.
    Output(u64),
    /// All of it.
    Usage(Usage),
    /// There is no such sum.
    Invalid,
}

impl Counts {
    /// The object at the front of the text, and where it ends; `None` if it is not whole.
    pub(super) fn read(json: &[u8]) -> Option<(Self, usize)> {
        let mut counts = Self::default();
        let end = members(json, |key, value| counts.take(key, value))?;
        Some((counts, end))
    }

    fn take(&mut self, key: &[u8], value: &[u8]) {
        let place = match key {
            b"prompt_tokens" => &mut self.prompt,
            b"completion_tokens" => &mut self.completion,
            b"total_tokens" => &mut self.total,
            b"input_tokens" => &mut self.input,
            b"output_tokens" => &mut self.output,
            // Moonshot's; DeepSeek's.
            b"cached_tokens" | b"prompt_cache_hit_tokens" => &mut self.cached,
            b"cache_read_input_tokens" => &mut self.read,
            b"cache_creation_input_tokens" => &mut self.written,
            b"prompt_tokens_details" | b"input_tokens_details" => return self.details(value),
            _ => return,
        };
        match count(value) {
            Ok(Some(count)) => *place = Some(count),
            Ok(None) => {}
            Err(NoCount) => self.is_invalid = true,
        }
    }

    fn details(&mut self, value: &[u8]) {
        if value.first() != Some(&b'{') {
            return;
        }
        let _end = members(value, |key, value| {
            if key == b"cached_tokens" {
                self.take(key, value);
            }
        });
    }

    /// All that the Responses API says, and nothing of chats.
    pub(super) fn is_of_responses(&self) -> bool {
        self.prompt.is_none() && [self.input, self.output, self.total].iter().all(Option::is_some)
    }

    /// Contradictions have no sum.
    pub(super) fn sum(&self) -> Sum {
        if self.is_invalid {
            return Sum::Invalid;
        }
        let Some((input, cached)) = self.request() else {
            return match self.completion.or(self.output) {
                Some(output) => Sum::Output(output),
                None => Sum::Nothing,
            };
        };
        if cached > input {
            return Sum::Invalid;
        }
        // xAI and Gemini leave what a model thought out of its completion, but not out of the total.
        let rest = self.total.map_or(0, |total| total.saturating_sub(input));
        let output = self.completion.or(self.output).unwrap_or(0).max(rest);
        Sum::Usage(Usage { input, cached, output })
    }

    /// What the request took, and how much of it was read from the cache.
    fn request(&self) -> Option<(u64, u64)> {
        if self.prompt.is_none() && self.total.is_none() {
            // Anthropic has no total, and counts what its cache had beside the rest.
            let [read, written] = [self.read, self.written].map(Option::unwrap_or_default);
            let beside = self.read.or(self.written).map(|_| read + written);
            let input = match (self.input, beside) {
                (None, None) => return None,
                (input, beside) => input.unwrap_or(0) + beside.unwrap_or(0),
            };
            return Some((input, self.cached.unwrap_or(read)));
        }
        let output = self.completion.or(self.output).unwrap_or(0);
        let rest = || self.total.map(|total| total.saturating_sub(output));
        let input = self.prompt.or(self.input).or_else(rest)?;
        Some((input, self.cached.or(self.read).unwrap_or(0)))
    }
}

struct NoCount;

/// A count; `None` for `null`.
fn count(value: &[u8]) -> Result<Option<u64>, NoCount> {
    if value == b"null" {
        return Ok(None);
    }
    let mut count = 0;
    for digit in value {
        if !digit.is_ascii_digit() || count > MOST {
            return Err(NoCount);
        }
        count = count * 10 + u64::from(digit - b'0');
    }
    if count > MOST || value.is_empty() { Err(NoCount) } else { Ok(Some(count)) }
}
