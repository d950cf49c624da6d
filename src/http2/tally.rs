//! What a peer has sent beside requests and answers, against what it may.
//!
//! PING, SETTINGS, PRIORITY, `WINDOW_UPDATE`, frames of unknown types and empty DATA cost their sender nothing
//! and us a little each, for ever. Each takes one from a budget, which fills again slowly. Work earns them:
//! a reader answers DATA with `WINDOW_UPDATE`s and, to measure the path, with a PING; a request may come with
//! PRIORITY.

use std::time::Instant;

use super::budget::Bucket;
use super::heads::{DATA, END_STREAM, HEADERS, Head, Heads, PADDED, PREFACE, WINDOW_UPDATE};

/// Frames without a purpose that a peer may send at once: what clients send as they begin, many times over.
const BURST: u32 = 2_000;
/// And for ever after, each second. At a microsecond each that is no load.
const A_SECOND: u32 = 100;

/// Earned by a DATA frame that we send: two `WINDOW_UPDATE`s (for the stream, for the connection) and a PING
/// (gRPC measures bandwidth with one for each burst of data).
const BY_DATA: u32 = 3;
/// And for so many of its bytes one more: a reader that takes them in small parts may say so of each.
const BYTES: u32 = 256;
/// Earned by a head, either way: PRIORITY or `PRIORITY_UPDATE`, `WINDOW_UPDATE`, `RST_STREAM`.
const BY_HEAD: u32 = 4;
/// What can be earned ahead: the frames that fill the largest usual windows are answered after all of them.
const MOST_EARNED: u32 = 65_536;

/// DATA that may be all padding (RFC 9113, section 6.1: its length, and at most 255 bytes).
const PADDING: u32 = 256;

/// The window of a connection at its beginning (RFC 9113, section 6.9.2).
const WINDOW: i64 = 65_535;

/// Frames of any kind after which a task lets others run, which wait for no longer than these take.
const A_TURN: u32 = 1_024;

/// Both directions of one connection.
#[derive(Debug)]
pub struct Tally {
    came: Heads,
    went: Heads,
    budget: Bucket,
    earned: u32,
    spent: bool,
    last_stream: u32,
    turn: u32,
    /// Bytes of bodies that the peer may send, over all streams.
    window: i64,
}

impl Tally {
    /// Of a connection from a client, whose preface has not been counted.
    pub fn of_client(now: Instant) -> Self {
        Self::new(PREFACE.len(), 0, now)
    }

    /// Of a connection to an upstream, on which nothing was sent.
    pub fn of_upstream(now: Instant) -> Self {
        Self::new(0, PREFACE.len(), now)
    }

    fn new(came: usize, went: usize, now: Instant) -> Self {
        Self {
            came: Heads::after(came),
            went: Heads::after(went),
            budget: Bucket::new(BURST, A_SECOND, now),
            earned: 0,
            spent: false,
            last_stream: 0,
            turn: 0,
            window: WINDOW,
        }
    }

    /// The peer sent `bytes`. `false` if it has sent more without a purpose than it may.
    pub fn came(&mut self, bytes: &[u8], now: Instant) -> bool {
        if let Some(length) = self.came.whole_data(bytes) {
            self.turn += 1;
            self.window -= i64::from(length);
        } else {
            self.weigh(bytes, now);
        }
        !self.spent
    }

    /// The same frame by frame. Not inlined, so that most reads pay nothing for it.
    #[inline(never)]
    fn weigh(&mut self, bytes: &[u8], now: Instant) {
        let Self { came, budget, earned, spent, last_stream, turn, window, .. } = self;
        came.walk(bytes, |head| {
            *turn += 1;
            if head.kind == DATA {
                *window -= i64::from(head.length);
                if has_purpose(head) {
                    return;
                }
            }
            if head.kind == HEADERS {
                *last_stream = head.stream.max(*last_stream);
                *earned = (*earned + BY_HEAD).min(MOST_EARNED);
            } else if *earned > 0 {
                *earned -= 1;
            } else if !budget.take(1, now) {
                *spent = true;
            }
        });
    }

    /// We sent `bytes`.
    pub fn went(&mut self, bytes: &[u8]) {
        if let Some(length) = self.went.whole_data(bytes) {
            self.earned = (self.earned + BY_DATA + length / BYTES).min(MOST_EARNED);
        } else {
            self.reward(bytes);
        }
    }

    /// The same frame by frame.
    #[inline(never)]
    fn reward(&mut self, bytes: &[u8]) {
        let Self { went, earned, window, .. } = self;
        went.walk(bytes, |head| {
            let more = match head.kind {
                DATA if head.length > 0 => BY_DATA + head.length / BYTES,
                HEADERS => BY_HEAD,
                WINDOW_UPDATE if head.stream == 0 => {
                    *window += i64::from(head.increment);
                    0
                }
                _ => 0,
            };
            *earned = (*earned + more).min(MOST_EARNED);
        });
    }

    /// Frames enough for one turn of the task have come; said once for each turn.
    pub fn ends_turn(&mut self) -> bool {
        let ends = self.turn >= A_TURN;
        if ends {
            self.turn = 0;
        }
        ends
    }

    /// The task waits for the peer: its next turn begins anew.
    pub fn rests(&mut self) {
        self.turn = 0;
    }

    /// The peer may send no byte of any body: we have not taken what it sent.
    pub fn is_shut(&self) -> bool {
        self.window <= 0
    }

    /// The highest stream that the peer has begun.
    pub fn last_stream(&self) -> u32 {
        self.last_stream
    }

    /// All that we sent is whole frames: one more can be put behind.
    pub fn is_between(&self) -> bool {
        self.went.is_between()
    }
}

/// Whether DATA carries something of a body.
fn has_purpose(data: Head) -> bool {
    let least = if data.flags & PADDED > 0 { PADDING } else { 0 };
    data.length > least || data.flags & END_STREAM > 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn frame(kind: u8, flags: u8, length: u32) -> Vec<u8> {
        let mut frame = length.to_be_bytes()[1..].to_vec();
        frame.extend([kind, flags, 0, 0, 0, 1]);
        frame.resize(9 + length as usize, 0);
        frame
    }

    fn tally(now: Instant) -> Tally {
        Tally::new(0, 0, now)
    }

    #[test]
    fn a_flood_of_any_kind_ends_within_its_burst() {
        let now = Instant::now();
        for (kind, flags, length) in [
            (DATA, 0, 0),
            (DATA, PADDED, 256),
            (2, 0, 5),
            (3, 0, 4),
            (4, 0, 0),
            (4, 0, 6),
            (4, 1, 0),
            (6, 0, 8),
            (6, 1, 8),
            (8, 0, 4),
            (9, 0, 0),
            (0xba, 0, 0),
        ] {
            let (mut tally, frame) = (tally(now), frame(kind, flags, length));
            let passed = (0..BURST * 2).take_while(|_| tally.came(&frame, now)).count();
            assert_eq!(passed, BURST as usize, "kind {kind}");
        }
    }

    #[test]
    fn what_carries_a_body_is_free() {
        let now = Instant::now();
        let mut tally = tally(now);
        for (flags, length) in [(0, 1), (END_STREAM, 0), (PADDED, 257)] {
            assert!((0..100_000).all(|_| tally.came(&frame(DATA, flags, length), now)));
        }
    }

    #[test]
    fn a_reader_may_answer_each_frame_of_an_answer_and_each_burst() {
        let now = Instant::now();
        let (mut tally, update, ping) = (tally(now), frame(8, 0, 4), frame(6, 0, 8));
        for _ in 0..100_000 {
            tally.went(&frame(DATA, 0, 1));
            assert!(tally.came(&update, now) && tally.came(&update, now) && tally.came(&ping, now));
        }
        for _ in 0..1_000 {
            tally.went(&frame(DATA, 0, 16_384));
        }
        assert!(
            (0..64_000).all(|_| tally.came(&update, now)),
            "in parts of 256 bytes, all at the end"
        );
    }

    #[test]
    fn a_request_may_come_with_its_priority() {
        let now = Instant::now();
        let mut tally = tally(now);
        for _ in 0..100_000 {
            tally.came(&frame(HEADERS, END_STREAM, 20), now);
            assert!((0..BY_HEAD).all(|_| tally.came(&frame(2, 0, 5), now)));
        }
    }

    #[test]
    fn our_own_answers_to_a_flood_earn_it_nothing() {
        let now = Instant::now();
        let mut tally = tally(now);
        let passed = (0..BURST * 2).take_while(|_| {
            tally.went(&frame(6, 1, 8));
            tally.went(&frame(4, 1, 0));
            tally.went(&frame(DATA, 0, 0));
            tally.came(&frame(6, 0, 8), now)
        });
        assert_eq!(passed.count(), BURST as usize);
    }

    #[test]
    fn keep_alive_pings_go_on_for_ever() {
        let mut now = Instant::now();
        let mut tally = tally(now);
        for _ in 0..100_000 {
            now += Duration::from_millis(10);
            assert!(tally.came(&frame(6, 0, 8), now));
        }
    }

    #[test]
    fn a_turn_ends_after_so_many_frames_and_begins_anew() {
        let now = Instant::now();
        let mut tally = tally(now);
        let data = frame(DATA, 0, 1);
        (1..A_TURN).for_each(|_| assert!(tally.came(&data, now) && !tally.ends_turn()));
        assert!(tally.came(&data, now) && tally.ends_turn() && !tally.ends_turn());
    }

    #[test]
    fn who_has_sent_all_that_the_window_holds_waits_for_us() {
        let now = Instant::now();
        let mut tally = tally(now);
        for _ in 0..3 {
            tally.came(&frame(DATA, 0, 16_384), now);
        }
        tally.came(&frame(DATA, 0, 16_382), now);
        assert!(!tally.is_shut(), "one byte is left");
        tally.came(&frame(DATA, 0, 1), now);
        assert!(tally.is_shut());
        let mut update = frame(WINDOW_UPDATE, 0, 4);
        update[12] = 1;
        tally.went(&update);
        assert!(tally.is_shut(), "a stream's window is another one");
        update[8] = 0;
        tally.went(&update);
        assert!(!tally.is_shut());
    }

    #[test]
    fn the_last_stream_is_the_highest_that_was_begun() {
        let now = Instant::now();
        let mut tally = tally(now);
        let mut second = frame(HEADERS, 0, 0);
        second[8] = 5;
        tally.came(&second, now);
        tally.came(&frame(HEADERS, 0, 0), now);
        assert_eq!(tally.last_stream(), 5);
    }
}
