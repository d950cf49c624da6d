//! Who looks at an answer's body as it passes: whether a stream of events was complete, what the answer cost, and
//! later what a resumption needs, an operator's own.
//!
//! Each is one small file here and one line in `Observers`; the relay knows the list alone. An observer gets
//! a reference: it can neither delay nor change what the client gets. One that is off is `None`, and costs a
//! comparison a chunk.

mod done;
mod usage;

pub use done::{DoneScanner, Keeps, Last, Tail};
pub use usage::{Form, Unknown, UsageReader};

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
    /// Of a stream of events whose usage nobody reads. Boxed: it keeps the last kilobyte.
    done: Option<Box<DoneScanner>>,
    /// Of an answer whose usage is read. It keeps more of the body, and sees the end of a stream in that.
    usage: Option<Box<UsageReader>>,
    /// Usage is wanted, and this is why it can't be read.
    unread: Option<NoUsage>,
}

impl Observers {
    /// Of an answer that is a stream of events, or is not; `form`: what it is, where its usage is wanted.
    pub(super) fn of(is_event_stream: bool, form: Option<Form>) -> Self {
        let usage = form.map(UsageReader::of);
        let (usage, unread) = match usage {
            Some(Ok(usage)) => (Some(Box::new(usage)), None),
            Some(Err(why)) => (None, Some(why)),
            None => (None, None),
        };
        let scans = is_event_stream && usage.is_none();
        Self { done: scans.then(Box::default), usage, unread }
    }

    /// It is a stream of events, and all that went over to the writer is complete to its reader.
    pub(super) fn is_done(&self) -> bool {
        match &self.usage {
            Some(usage) => usage.is_done(),
            None => self.done.as_ref().is_some_and(|done| done.is_done()),
        }
    }

    /// The same of what went over and what is to follow.
    pub(super) fn is_done_with(&self, unread: [&[u8]; 2]) -> bool {
        match &self.usage {
            Some(usage) => usage.is_done_with(unread),
            None => self.done.as_ref().is_some_and(|done| done.is_done_with(unread)),
        }
    }

    /// It is a stream of events, and what comes next begins one. Costs some hundred instructions.
    pub(super) fn is_between_events(&self) -> bool {
        match (&self.usage, &self.done) {
            (Some(usage), _) => usage.is_between_events(),
            (None, Some(done)) => done.tail().last().is_between_events(),
            (None, None) => false,
        }
    }

    /// What the answer cost, where that is wanted. To be asked once, at its end: it costs some hundred
    /// instructions behind a chat. `unread` came from the upstream and did not go over to the writer;
    /// `is_whole`: the upstream said all that it had to.
    pub(super) fn usage(&self, unread: &[u8], is_whole: bool) -> Option<Result<Usage, Unknown>> {
        match (&self.usage, self.unread) {
            (Some(usage), _) => Some(usage.usage(unread, is_whole)),
            (None, Some(why)) => Some(Err(Unknown::because(why))),
            (None, None) => None,
        }
    }
}

impl Observer for Observers {
    fn chunk(&mut self, bytes: &[u8]) {
        self.done.chunk(bytes);
        self.usage.chunk(bytes);
    }

    fn end(&mut self, unread: &[u8]) {
        self.done.end(unread);
        self.usage.end(unread);
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
        let mut observers = Observers::of(true, None);
        observers.chunk(b"data: [DO");
        assert!(observers.is_done_with([b"NE", b"]\n\n"]));
        observers.end(b"NE]\n\n");
        assert!(!observers.is_done(), "its end did not go over to the client");
        observers.chunk(b"NE]\n\n");
        assert!(observers.is_done());
    }

    #[test]
    fn an_answer_that_is_no_stream_of_events_ends_as_its_framing_says() {
        let mut observers = Observers::of(false, None);
        observers.chunk(b"data: [DONE]\n\n");
        assert!(!observers.is_done() && !observers.is_done_with([b"data: [DONE]\n\n", b""]));
    }

    #[test]
    fn a_stream_whose_usage_is_read_ends_as_one_whose_is_not() {
        for (stream, done) in [
            ("data: {\"choices\":[{}]}\n\ndata: [DO", false),
            ("data: {\"choices\":[{}]}\n\ndata: [DONE]\n\n", true),
            ("event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n", true),
        ] {
            for form in [None, Some(Form::Events), Some(Form::Encoded), Some(Form::Other)] {
                for filler in [0, 1_000, 40_000] {
                    let mut observers = Observers::of(true, form);
                    observers.chunk(format!(": {}\n", "x".repeat(filler)).as_bytes());
                    stream.as_bytes().chunks(7).for_each(|chunk| observers.chunk(chunk));
                    assert_eq!(observers.is_done(), done, "{stream} as {form:?}");
                    assert!(observers.is_done_with([b"\n\ndata: [DONE]", b"\n\n"]));
                }
            }
        }
        let mut json = Observers::of(false, Some(Form::Json));
        json.chunk(b"data: [DONE]\n\n");
        assert!(!json.is_done() && !json.is_done_with([b"data: [DONE]\n\n", b""]));
    }

    #[test]
    fn usage_is_read_where_it_is_wanted_and_otherwise_the_reason_is_told() {
        let body = br#"{"usage":{"prompt_tokens":3,"completion_tokens":4}}"#;
        for (form, wanted) in [
            (None, None),
            (Some(Form::Json), Some(Ok(Usage { input: 3, cached: 0, output: 4 }))),
            (Some(Form::Encoded), Some(Err(Unknown::because(NoUsage::Encoded)))),
            (Some(Form::Other), Some(Err(Unknown::because(NoUsage::Absent)))),
        ] {
            let mut observers = Observers::of(false, form);
            observers.chunk(body);
            assert_eq!(observers.usage(b"", true), wanted, "{form:?}");
        }
    }
}
