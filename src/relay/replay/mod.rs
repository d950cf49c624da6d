//! Whether a failed request may be sent again, and the bytes to do it with.
//!
//! A model request costs money and may act: it goes out again only if the upstream provably did not
//! process it. Three proofs exist (RFC 9113, sections 6.8 and 8.7): it was never written; the
//! upstream's GOAWAY of `NO_ERROR` names a last stream below ours; the upstream reset it with
//! `REFUSED_STREAM`. A GOAWAY with an error names a last stream too, and that proves as much. But the
//! request may be what the error is about (a head that the upstream cannot read ends the connection and
//! every stream on it): sent again, it would end the next connection. A kept-alive HTTP/1.1 connection that closes before the first byte of the
//! answer proves nothing: the upstream may have read the request and died of it. So there the one
//! proof is that the request was never written. The SDKs retry the rest, knowing what they ask.

mod buffer;

pub use buffer::ReplayBuffer;

use crate::record::ReplayReason;
use crate::upstream::Failure;

/// How often a refused request may be sent again. The second upstream that refuses has a reason.
pub const MAX_REFUSALS: u8 = 1;

/// How often one may be that a connection going away disowned or never took. Connections opened
/// together fill up together, and one request can meet several ends in a row; each time it is as
/// unprocessed as the first. Bounded, so that a peer that only says GOAWAY is told of.
pub const MAX_GOAWAYS: u8 = 3;

/// Whether anything of the answer was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Seen {
    /// Not one frame or byte of it.
    Nothing,
    /// At least one, an informational head (1xx) included.
    Answer,
}

/// Whether what was taken of the client's body can be sent again. What was not yet taken still can
/// in every case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BodyKept {
    /// Nothing was taken, or there is no body.
    NotBegun,
    /// Every byte taken so far is kept.
    Whole,
    /// Some byte is gone.
    Spoiled,
}

/// The decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Replay {
    /// Send it again, on another connection.
    Yes(ReplayReason),
    /// Tell the client.
    No(NoReplay),
}

/// Why it does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NoReplay {
    /// The upstream may have processed it.
    MaybeProcessed,
    /// It may have cost the connection, and would cost the next one.
    MaybeTheCause,
    /// Part of an answer came, so the upstream did process it.
    AnswerSeen,
    /// Part of its body is gone.
    BodySpoiled,
    /// It has been sent again already.
    Spent,
}

/// Whether to send a request again that was already sent again `replays` times.
pub fn decide(failure: Failure, seen: Seen, body: BodyKept, replays: u8) -> Replay {
    let (reason, most) = match failure {
        Failure::Unsent => (ReplayReason::Unsent, MAX_GOAWAYS),
        Failure::GoAway => (ReplayReason::Goaway, MAX_GOAWAYS),
        Failure::Refused => (ReplayReason::RefusedStream, MAX_REFUSALS),
        Failure::Suspect => return Replay::No(NoReplay::MaybeTheCause),
        Failure::Unknown => return Replay::No(NoReplay::MaybeProcessed),
    };
    match (seen, body) {
        (Seen::Answer, _) => Replay::No(NoReplay::AnswerSeen),
        (Seen::Nothing, BodyKept::Spoiled) => Replay::No(NoReplay::BodySpoiled),
        (Seen::Nothing, _) if replays >= most => Replay::No(NoReplay::Spent),
        (Seen::Nothing, BodyKept::NotBegun | BodyKept::Whole) => Replay::Yes(reason),
    }
}

#[cfg(test)]
mod tests;
