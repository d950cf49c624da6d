//! What an answer cost, read from what its upstream says of it.
//!
//! Nothing is parsed while the body passes: `kept` keeps its first bytes and its last ones, and when it has ended
//! `find` looks there once for the last `usage` (`json` knows where it stands), and `counts` adds it up. `form` says
//! of which bodies that is tried.
//!
//! All APIs say it near the end of the body: in the last events of a stream, or behind the choices of JSON. There
//! are two exceptions, and of both the beginning is enough: Anthropic says at the start of a stream what the
//! request took, and some say all of it before the choices of JSON.

mod counts;
mod find;
mod form;
mod json;
mod kept;

pub use form::Form;

use super::Observer;
use super::done::{DoneScanner, Keeps};
use crate::record::{NoUsage, Usage};
use find::{Found, Front, Shape};
use kept::Kept;

/// Watches one body. It holds 8 KiB at most, in one allocation, and no part of the body itself.
#[derive(Debug, Clone)]
pub struct UsageReader {
    shape: Shape,
    /// Of a stream of events, so that what is kept is kept once.
    scanner: DoneScanner<Kept>,
}

/// The tokens of an answer are not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unknown {
    /// Why.
    pub why: NoUsage,
    /// What is known: it took no less than this. Of a stream that was cut, what Anthropic said at its start.
    pub at_least: Usage,
}

impl Unknown {
    /// Nothing is known.
    pub(super) fn because(why: NoUsage) -> Self {
        Self { why, at_least: Usage::default() }
    }
}

impl UsageReader {
    /// For a body of this kind. Fails with why there is nothing to read.
    pub fn of(form: Form) -> Result<Self, NoUsage> {
        let kept = Kept::default;
        match form {
            Form::Json => Ok(Self { shape: Shape::Json, scanner: DoneScanner::blind(kept()) }),
            Form::Events => Ok(Self { shape: Shape::Events, scanner: DoneScanner::on(kept()) }),
            Form::Encoded => Err(NoUsage::Encoded),
            Form::Other => Err(NoUsage::Absent),
        }
    }

    /// It is a stream of events, and complete to its reader.
    pub(super) fn is_done(&self) -> bool {
        self.shape == Shape::Events && self.scanner.is_done()
    }

    /// The same of what went by and what is to follow.
    pub(super) fn is_done_with(&self, unread: [&[u8]; 2]) -> bool {
        self.shape == Shape::Events && self.scanner.is_done_with(unread)
    }

    /// It is a stream of events, and what comes next begins one.
    pub(super) fn is_between_events(&self) -> bool {
        self.shape == Shape::Events && self.scanner.tail().last().is_between_events()
    }

    /// What the answer cost. `unread` came behind what went by; `is_whole`: nothing more was to come.
    pub fn usage(&self, unread: &[u8], is_whole: bool) -> Result<Usage, Unknown> {
        if unread.is_empty() {
            return self.read(is_whole);
        }
        let mut all = self.clone();
        all.chunk(unread);
        all.read(is_whole)
    }

    fn read(&self, is_whole: bool) -> Result<Usage, Unknown> {
        let kept = self.scanner.tail();
        let found = self.last(kept);
        let why = match found {
            Found::Unreadable => NoUsage::Unreadable,
            _ if !is_whole => NoUsage::Cut,
            Found::Beyond => NoUsage::TooLarge,
            _ => NoUsage::Absent,
        };
        match found {
            Found::Usage(usage) if usage.input > 0 => Ok(usage),
            // No request takes nothing: some servers of Anthropic's API leave at zero what they said before.
            Found::Usage(usage) => {
                Ok(self.start(kept).map_or(usage, |start| Usage { output: usage.output, ..start }))
            }
            Found::Output(output) => match self.start(kept) {
                Some(start) => Ok(Usage { output, ..start }),
                None => Err(Unknown { why, at_least: Usage { output, ..Usage::default() } }),
            },
            Found::Start(at_least) => Err(Unknown { why, at_least }),
            Found::Unreadable => Err(Unknown::because(why)),
            Found::Nothing | Found::Beyond if self.shape == Shape::Events => {
                Err(Unknown { why, at_least: self.start(kept).unwrap_or_default() })
            }
            Found::Nothing | Found::Beyond => match find::front(kept.head()) {
                Found::Usage(usage) => Ok(usage),
                _ => Err(Unknown::because(why)),
            },
        }
    }

    /// What Anthropic says in the first event of a stream.
    fn start(&self, kept: &Kept) -> Option<Usage> {
        if self.shape == Shape::Events { find::start(kept.head()) } else { None }
    }

    /// The last of what is kept.
    fn last(&self, kept: &Kept) -> Found {
        if let Some(body) = kept.whole() {
            return find::last(body, self.shape, Front::Whole);
        }
        let (older, newer) = kept.tail();
        // Of one event that is larger than all that is kept, there is nothing to see in the older part.
        let is_cut = older.is_empty() || memchr::memrchr2(b'\n', b'\r', older).is_none();
        let front = if is_cut { Front::Cut } else { Front::More };
        // Nearly always it is among these.
        let found = find::last(newer, self.shape, front);
        if older.is_empty() || !(found == Found::Beyond || is_cut && found == Found::Nothing) {
            return found;
        }
        find::last(&[older, newer].concat(), self.shape, Front::Cut)
    }
}

impl Observer for UsageReader {
    /// What the tail of a stream costs that is watched for its end, and nothing else.
    fn chunk(&mut self, bytes: &[u8]) {
        self.scanner.chunk(bytes);
    }
}

#[cfg(test)]
mod tests;
