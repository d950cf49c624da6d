//! How much a client may do: requests and tokens in a minute, requests at once, a budget; its own, and those of the
//! groups that it is in. All workers share them.
//!
//! `limiter`: one limit. `lease`: what of it this process may use where others share it. `budget`: what is left of a
//! period. `outside`: keeping and sharing. `remote`: limits that are
//! decided elsewhere. `take`: all limits of one request, taken together or not at all. `tell`: what the client reads of them.

mod budget;
mod lease;
mod limiter;
mod outside;
mod remote;
mod take;
mod tell;

pub use lease::Sharing;
pub use limiter::{Limiter, Measure, State};
pub use remote::{Deciding, Remote, Standing, Verdict};
pub(super) use take::{Reserve, Taken};
pub(super) use tell::{limit_headers, refusal};

pub(super) use limiter::measures;

/// One limit that a request ran into.
#[derive(Debug, Clone, Copy)]
pub(in crate::admit) struct Refused<'a> {
    /// Which.
    pub(in crate::admit) limiter: &'a Limiter,
    /// Nanoseconds until it would let the request in, where that is known.
    pub(in crate::admit) wait: Option<u64>,
}

/// When it is, on both clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// Nanoseconds on the process's own clock.
    pub nanos: u64,
    /// Unix time in seconds, for what goes by the calendar.
    pub unix: u64,
}
