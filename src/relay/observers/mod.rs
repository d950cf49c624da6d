//! Who looks at an answer's body as it passes: whether a stream of events was complete, and later its usage,
//! what a resumption needs, an operator's own.
//!
//! Each is one small file here and one line in `Observers`; the relay knows the list alone. An observer gets
//! a reference: it can neither delay nor change what the client gets. One that is off is `None`, and costs a
//! comparison a chunk.

mod done;

pub use done::DoneScanner;

use crate::record::{NoUsage, Usage};

/// Looks at one answer's body.
pub trait Observer {
    /// The next bytes, in order and each once, as they go over to the client's writer. What was read
    /// together comes together, however the upstream had split it. All that is done here is done for
    /// every chunk.
    fn chunk(&mut self, bytes: &[u8]);

    /// Nothing more goes over: the answer has ended, or it was dropped, and its record is not closed yet.
    /// What is unread came from the upstream after the last chunk, for a client that did not take it.
    fn end(&mut self, _unread: &[u8]) {}
}

impl<T: Observer> Observer for Option<T> {
    fn chunk(&mut self, bytes: &[u8]) {
        if let Some(observer) = self {
            observer.chunk(bytes);
        }
    }

    fn end(&mut self, unread: &[u8]) {
        if let Some(observer) = self {
            observer.end(unread);
        }
    }
}

impl<T: Observer> Observer for Box<T> {
    fn chunk(&mut self, bytes: &[u8]) {
        (**self).chunk(bytes);
    }

    fn end(&mut self, unread: &[u8]) {
        (**self).end(unread);
    }
}

/// The observers of one answer: a struct, so that every call is known when it is compiled.
#[derive(Debug)]
pub(super) struct Observers {
    /// Of a stream of events. Boxed: it keeps the last kilobyte.
    done: Option<Box<DoneScanner>>,
}

impl Observers {
    /// Of an answer that is a stream of events, or is not.
    pub(super) fn of(is_event_stream: bool) -> Self {
        Self { done: is_event_stream.then(Box::default) }
    }

    /// What the answer cost, as it says itself.
    pub(super) fn usage(&self) -> Result<Usage, NoUsage> {
        Err(NoUsage::Absent)
    }

    /// It is a stream of events, and all that went over to the writer is complete to its reader.
    pub(super) fn is_done(&self) -> bool {
        self.done.as_ref().is_some_and(|done| done.is_done())
    }

    /// The same of what went over and what is to follow.
    pub(super) fn is_done_with(&self, unread: [&[u8]; 2]) -> bool {
        let Some(done) = &self.done else { return false };
        let mut done = done.clone();
        for bytes in unread {
            done.chunk(bytes);
        }
        done.is_done()
    }
}

impl Observer for Observers {
    fn chunk(&mut self, bytes: &[u8]) {
        self.done.chunk(bytes);
    }

    fn end(&mut self, unread: &[u8]) {
        self.done.end(unread);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes down what it is given.
    #[derive(Default)]
    struct Notes(Vec<u8>, Vec<u8>);

    impl Observer for Notes {
        fn chunk(&mut self, bytes: &[u8]) {
            self.0.extend_from_slice(bytes);
        }

        fn end(&mut self, unread: &[u8]) {
            self.1.extend_from_slice(unread);
        }
    }

    #[test]
    fn an_observer_that_is_on_is_given_all_and_one_that_is_off_nothing() {
        let (mut on, mut off) = (Some(Notes::default()), None::<Notes>);
        for observer in [&mut on, &mut off] {
            observer.chunk(b"data: {}\n\n");
            observer.chunk(b"data: [DO");
            observer.end(b"NE]\n\n");
        }
        let Notes(handed, unread) = on.unwrap();
        assert_eq!((&handed[..], &unread[..]), (&b"data: {}\n\ndata: [DO"[..], &b"NE]\n\n"[..]));
        assert!(off.is_none());
    }

    #[test]
    fn the_list_knows_a_complete_stream_and_what_of_it_the_client_was_given() {
        let mut observers = Observers::of(true);
        observers.chunk(b"data: [DO");
        assert!(observers.is_done_with([b"NE", b"]\n\n"]));
        observers.end(b"NE]\n\n");
        assert!(!observers.is_done(), "its end did not go over to the client");
        observers.chunk(b"NE]\n\n");
        assert!(observers.is_done());
    }

    #[test]
    fn an_answer_that_is_no_stream_of_events_ends_as_its_framing_says() {
        let mut observers = Observers::of(false);
        observers.chunk(b"data: [DONE]\n\n");
        assert!(!observers.is_done() && !observers.is_done_with([b"data: [DONE]\n\n", b""]));
    }
}
