//! What a peer has sent beside requests and answers, against what it may.
//!
//! PING, SETTINGS, PRIORITY, `WINDOW_UPDATE`, frames of unknown types and empty DATA cost their sender nothing
//! and us a little each, for ever. Each takes one from a budget, which fills again slowly. Work earns them:
//! a reader answers DATA with `WINDOW_UPDATE`s and, to measure the path, with a PING; a request may come with
//! PRIORITY.

#[cfg(test)]
mod tests;

use std::time::Instant;

use super::heads::{DATA, END_STREAM, HEADERS, Head, Heads, PADDED, PREFACE, WINDOW_UPDATE};
use crate::algo::token_bucket::Bucket;

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
