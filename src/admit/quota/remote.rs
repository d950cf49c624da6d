//! Limits that are decided elsewhere, before each request: for who prefers a round trip to a bound on what several
//! processes take together.

use std::fmt::Debug;
use std::pin::Pin;

/// A verdict that is waited for. Dropped, what was taken meanwhile is given back.
pub type Deciding = Pin<Box<dyn Future<Output = Verdict> + Send>>;

/// Who decides.
pub trait Remote: Debug + Send + Sync {
    /// Takes of all these limits, named by their keys, or of none. Takes as long as one round trip, and never longer
    /// than whoever made it was told.
    fn take(&self, wants: Vec<(String, u64)>) -> Deciding;
}

/// Whether what is left of a limit is known, and what holds where it is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Rooms are granted.
    Leased,
    /// They are not, for now: the process keeps to its own part of each limit.
    Local,
    /// The same: nothing that has a limit is let in.
    Deny,
    /// The same: everything is.
    Allow,
}

/// What was decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// All of it is taken.
    Granted,
    /// Nothing is.
    Refused {
        /// Which of the limits refused.
        nth: usize,
        /// Nanoseconds until it would not, where that is known.
        wait: Option<u64>,
    },
    /// Nobody answered in time: what holds then.
    Lost(Standing),
    /// They cannot be asked about it, for now, though nothing is lost: a reload has just made one of the limits. To be
    /// decided on what this process was granted.
    Undecided,
}
