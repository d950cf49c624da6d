//! Who looks at an answer's body as it passes: whether a stream of events was complete, and later its usage,
//! what a resumption needs, an operator's own.
//!
//! Each is one small file here and one line in `Observers`; the relay knows the list alone. An observer gets
//! a reference: it can neither delay nor change what the client gets. One that is off is `None`, and costs a
//! comparison a chunk.

mod done;

pub use done::DoneScanner;

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

/// The observers of one answer: a struct, so that every call is known when it is compiled.
#[derive(Debug, Default)]
pub(super) struct Observers {
    done: DoneScanner,
}

impl Observers {
    /// All that went over to the writer is complete to its reader.
    pub(super) fn is_done(&self) -> bool {
        self.done.is_done()
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
    fn the_list_knows_a_complete_stream_however_it_ends() {
        let mut observers = Observers::default();
        observers.chunk(b"data: [DONE]\n");
        observers.end(b"\n");
        assert!(!observers.is_done(), "the last byte did not go over to the client");
        let mut observers = Observers::default();
        observers.chunk(b"data: [DONE]\n");
        observers.chunk(b"\n");
        assert!(observers.is_done());
    }
}
