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

pub use tail::{Keeps, Last, Tail};
pub(super) use types::{after_key, field, is_done};

use super::Observer;
use types::{Types, Verdict};

/// Watches one stream of events. Where somebody else keeps more of its end, that serves as its tail.
#[derive(Debug, Clone)]
pub struct DoneScanner<T = Tail> {
    tail: T,
    /// Where events have types, or the first is still to come.
    types: Option<Types>,
    /// The last event of its API has gone by. Whatever follows does not take that back.
    done: bool,
}

impl Default for DoneScanner<Tail> {
    /// Nothing went by.
    fn default() -> Self {
        Self::on(Tail::default())
    }
}

impl<T: Keeps> DoneScanner<T> {
    /// Nothing went by; `tail` keeps the last of what will.
    pub fn on(tail: T) -> Self {
        Self { tail, types: Some(Types::default()), done: false }
    }

    /// Keeps what is no stream of events, and looks at none of it.
    pub(super) fn blind(tail: T) -> Self {
        Self { tail, types: None, done: false }
    }

    /// What keeps the last bytes.
    pub(super) fn tail(&self) -> &T {
        &self.tail
    }

    /// What went by was complete to its reader. Costs some hundred instructions.
    pub fn is_done(&self) -> bool {
        self.done || self.tail.last().is_done()
    }

    /// What went by and what is to follow is.
    pub(super) fn is_done_with(&self, unread: [&[u8]; 2]) -> bool
    where
        T: Clone,
    {
        let mut scanner = self.clone();
        for bytes in unread {
            scanner.chunk(bytes);
        }
        scanner.is_done()
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

impl<T: Keeps> Observer for DoneScanner<T> {
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
