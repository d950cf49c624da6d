//! What an answer's body may take, and which clock runs on it.

use std::time::{Duration, Instant};

use crate::error::Kind;
use crate::record::Clock;

/// Time and space that a body may take.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// From the answer's head to its first frame.
    pub first_frame: Duration,
    /// Silence of the upstream after that.
    pub gap: Duration,
    /// The end of the time that the client gave itself.
    pub until: Option<Instant>,
    /// A client that takes nothing although there is something for it. `None` where its connection
    /// carries nothing else: the socket then sees by itself whether any byte is taken.
    pub stall: Option<Duration>,
    /// Bytes held for a client that does not take. HTTP/2's window keeps it by itself.
    pub buffered: usize,
    /// The answer's `content-length`, where it has one.
    pub length: Option<u64>,
}

impl Bounds {
    /// The clock that runs on an upstream that was heard last at `heard`, when it runs out, and what that
    /// is called. `begun`: something of the body came.
    pub(super) fn clock(&self, heard: Instant, begun: bool) -> (Instant, Clock, Kind) {
        let (due, clock, kind) = if begun {
            (heard + self.gap, Clock::FrameGap, Kind::GapTimeout)
        } else {
            (heard + self.first_frame, Clock::FirstFrame, Kind::FirstFrameTimeout)
        };
        match self.until {
            Some(until) if until < due => (until, Clock::Client, Kind::ClientDeadline),
            _ => (due, clock, kind),
        }
    }
}
