//! Whether a stream of events was complete to its reader when it was left or cut.
//!
//! Servers say so in many ways: `data: [DONE]`, an event of a type that is the last of its API, an error, or no more
//! than a `finish_reason`. SDKs close as soon as they read it, and some servers do.
//!
//! Most streams are of chats, and have one event after the other in which nothing says what it is but all of its
//! text. Of them `tail` keeps the last bytes, and reads them only when the end has come. Where events have types, the
//! last one may be much larger than that: there `types` reads how each line begins.

mod tail;
mod types;

use super::Observer;
use tail::Tail;
use types::{Types, Verdict};

/// Watches one stream of events.
#[derive(Debug, Clone)]
pub struct DoneScanner {
    tail: Tail,
    /// Where events have types, or the first is still to come.
    types: Option<Types>,
    /// The last event of its API has gone by. Whatever follows does not take that back.
    done: bool,
}

impl Default for DoneScanner {
    /// Nothing went by.
    fn default() -> Self {
        Self { tail: Tail::default(), types: Some(Types::default()), done: false }
    }
}

impl DoneScanner {
    /// What went by was complete to its reader. Costs some hundred instructions.
    pub fn is_done(&self) -> bool {
        self.done || self.tail.is_done()
    }

    /// Not inlined, so that streams without types pay nothing for it.
    #[inline(never)]
    fn read_types(&mut self, bytes: &[u8]) {
        match self.types.as_mut().map(|types| types.read(bytes)) {
            Some(Verdict::Done) => (self.done, self.types) = (true, None),
            Some(Verdict::Untyped) => self.types = None,
            Some(Verdict::Open) | None => {}
        }
    }
}

impl Observer for DoneScanner {
    /// Copies at most what the tail keeps; allocates nothing.
    fn chunk(&mut self, bytes: &[u8]) {
        self.tail.push(bytes);
        if self.types.is_some() {
            self.read_types(bytes);
        }
    }
}

#[cfg(test)]
mod tests;
