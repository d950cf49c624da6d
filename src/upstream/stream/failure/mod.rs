//! How an attempt failed: what it proves of whether the upstream processed the request.
//!
//! Three proofs exist that it did not (RFC 9113, sections 6.8 and 8.7): it was never written; the
//! upstream's GOAWAY of `NO_ERROR` names a last stream below ours; the upstream reset it with
//! `REFUSED_STREAM`.

#[cfg(test)]
mod tests;

use h2::Reason;

/// How an attempt failed, as far as the proof goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Failure {
    /// No byte of the request was written: the connection handed it back, or never took it.
    Unsent,
    /// The upstream's GOAWAY of `NO_ERROR` says that our stream was above the last one it may have
    /// processed.
    GoAway,
    /// The upstream ended the connection with an error, and this request may be the cause.
    Suspect,
    /// The upstream reset our stream with `REFUSED_STREAM`.
    Refused,
    /// Anything else: the upstream may have processed the request.
    Unknown,
}

impl Failure {
    /// What an error **of a stream** proves: one from its answer's future, its receive or its send
    /// half. Not one of the connection's own future: that ends with the peer's GOAWAY error also
    /// for streams below the last one, which may have been processed.
    ///
    /// In `h2` 0.4.20 a GOAWAY of the peer's fails at once the streams above its last id, and those
    /// only, with an error that is both `is_go_away` and `is_remote`. The others go on, and end with
    /// an I/O error if the connection then closes on them. A GOAWAY of our own making (a peer that
    /// breaks the protocol, the small-frame budget) fails every stream, and is not remote.
    pub fn from_h2(error: &h2::Error) -> Self {
        if !error.is_remote() {
            return Failure::Unknown;
        }
        match (error.is_go_away(), error.reason()) {
            (true, Some(Reason::NO_ERROR)) => Failure::GoAway,
            (true, _) => Failure::Suspect,
            (false, Some(Reason::REFUSED_STREAM)) => Failure::Refused,
            (false, _) => Failure::Unknown,
        }
    }
}
