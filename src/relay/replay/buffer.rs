//! The part of a request's body that is kept for a replay.

use std::mem::size_of;

use bytes::Bytes;

use super::BodyKept;

/// Frames taken from the client, by reference and not by copy, up to a bound.
///
/// Each frame counts with its handle, so that a client sending single bytes cannot make us hold many
/// times the bound. Beyond it everything is let go at once: a part of a body is of no use.
#[derive(Debug, Clone)]
pub struct ReplayBuffer {
    frames: Vec<Bytes>,
    /// Bytes that may still be kept.
    room: usize,
    /// Bytes that are.
    bytes: usize,
    state: BodyKept,
}

impl ReplayBuffer {
    /// Keeps up to `limit` bytes (`limits.replay_bytes`); with 0, nothing. Allocates nothing yet.
    pub fn new(limit: usize) -> Self {
        Self { frames: Vec::new(), room: limit, bytes: 0, state: BodyKept::NotBegun }
    }

    /// Keeps a frame that is about to go upstream. Call it for every one, in order. An empty frame
    /// says nothing and is not kept.
    pub fn push(&mut self, frame: &Bytes) {
        if frame.is_empty() || self.state == BodyKept::Spoiled {
            return;
        }
        match self.room.checked_sub(frame.len() + size_of::<Bytes>()) {
            Some(room) => {
                self.bytes += self.room - room;
                self.room = room;
                self.state = BodyKept::Whole;
                self.frames.push(frame.clone());
            }
            None => self.spoil(),
        }
    }

    /// Lets go of everything for good: on overflow, on trailers (not kept), and at the answer's first
    /// byte, when no replay can follow and the memory has better uses.
    pub fn spoil(&mut self) {
        (self.frames, self.bytes) = (Vec::new(), 0);
        self.state = BodyKept::Spoiled;
    }

    /// So many bytes are held all the same, though not for a replay: nothing of them went up yet.
    pub fn hold(&mut self, bytes: usize) {
        if self.state == BodyKept::Spoiled {
            self.bytes = bytes;
        }
    }

    /// A frame of those that were held goes up, or is sent again.
    pub fn let_go(&mut self, frame: &Bytes) {
        if self.state == BodyKept::Spoiled {
            self.bytes = self.bytes.saturating_sub(frame.len() + size_of::<Bytes>());
        }
    }

    /// Bytes that are kept or held, handles included.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// What [`decide`](super::decide) wants to know.
    pub fn kept(&self) -> BodyKept {
        self.state
    }

    /// The frames to be sent first on the next attempt, in order; what the client still has follows
    /// them. `None` once spoiled. References, not copies: they stay kept for one more attempt.
    pub fn replay(&self) -> Option<std::vec::IntoIter<Bytes>> {
        match self.state {
            BodyKept::NotBegun | BodyKept::Whole => Some(self.frames.clone().into_iter()),
            BodyKept::Spoiled => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HANDLE: usize = size_of::<Bytes>();

    #[test]
    fn what_was_kept_comes_back_in_order_and_is_not_a_copy() {
        let mut buffer = ReplayBuffer::new(1024);
        assert_eq!(buffer.kept(), BodyKept::NotBegun);
        let frames = [Bytes::from(vec![1; 3]), Bytes::new(), Bytes::from(vec![2; 5])];
        for frame in &frames {
            buffer.push(frame);
        }
        assert_eq!(buffer.kept(), BodyKept::Whole);
        let kept: Vec<_> = buffer.replay().unwrap().collect();
        assert_eq!(kept, [frames[0].clone(), frames[2].clone()]);
        assert_eq!(kept[0].as_ptr(), frames[0].as_ptr());
    }

    #[test]
    fn a_body_of_exactly_the_bound_is_kept_and_one_byte_more_is_not() {
        let bound = 100 + HANDLE;
        for (len, kept) in [(100, BodyKept::Whole), (101, BodyKept::Spoiled)] {
            let mut buffer = ReplayBuffer::new(bound);
            buffer.push(&Bytes::from(vec![0; len]));
            assert_eq!(buffer.kept(), kept);
            assert_eq!(buffer.replay().is_some(), kept == BodyKept::Whole);
        }
    }

    #[test]
    fn an_overflow_frees_everything_and_stays() {
        let mut buffer = ReplayBuffer::new(100);
        let first = Bytes::from(vec![0; 10]);
        buffer.push(&first);
        assert!(!first.is_unique());
        buffer.push(&Bytes::from(vec![0; 100]));
        assert!(first.is_unique(), "the first frame was let go");
        buffer.push(&first);
        assert!(first.is_unique());
        assert_eq!(buffer.kept(), BodyKept::Spoiled);
    }

    #[test]
    fn what_is_held_without_being_kept_counts_until_it_goes() {
        let mut buffer = ReplayBuffer::new(100);
        let frame = Bytes::from(vec![0; 200]);
        buffer.hold(7);
        assert_eq!(buffer.bytes(), 0, "what is kept is counted already");
        buffer.push(&frame);
        assert_eq!(buffer.bytes(), 0, "too large to be kept");
        buffer.hold(2 * (200 + HANDLE));
        buffer.let_go(&frame);
        assert_eq!(buffer.bytes(), 200 + HANDLE);
        buffer.spoil();
        assert_eq!(buffer.bytes(), 0);
    }

    #[test]
    fn single_bytes_count_with_their_handles() {
        let mut buffer = ReplayBuffer::new(10 * (HANDLE + 1));
        for _ in 0..10 {
            buffer.push(&Bytes::from_static(b"x"));
        }
        assert_eq!(buffer.kept(), BodyKept::Whole);
        buffer.push(&Bytes::from_static(b"x"));
        assert_eq!(buffer.kept(), BodyKept::Spoiled);
    }

    #[test]
    fn a_bound_of_zero_keeps_nothing_but_an_empty_body() {
        let mut buffer = ReplayBuffer::new(0);
        buffer.push(&Bytes::new());
        assert_eq!(buffer.kept(), BodyKept::NotBegun);
        assert_eq!(buffer.replay().unwrap().count(), 0);
    }
}
