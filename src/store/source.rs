//! Who counts what is kept.

use std::time::Duration;

use super::cells::{Balance, Cells};

/// What was kept of limits, by their keys: the text by which a limit is found again, whatever process has it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Kept {
    /// What was spent of budgets.
    pub budgets: Vec<(String, Balance)>,
    /// How long buckets take from now on until they are full.
    pub buckets: Vec<(String, Duration)>,
}

impl Kept {
    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.budgets.is_empty() && self.buckets.is_empty()
    }
}

/// The counters of a running process. Called from one thread at a time, twice a second and never by a worker.
pub trait Source: Send + Sync {
    /// What the requests of each client and model (its label) came to since the process began: these only grow,
    /// whatever is reloaded meanwhile. What a client had used that is gone now still counts.
    fn usage(&self, each: &mut dyn FnMut(&str, &str, Cells));

    /// What was spent of each budget, in the period that this Unix time (in seconds) is in.
    fn budgets(&self, unix: u64, each: &mut dyn FnMut(&str, Balance));

    /// How long each bucket takes until it is full.
    fn buckets(&self, each: &mut dyn FnMut(&str, Duration));

    /// Adds what was spent, and taken out of buckets, before this process or beside it. What is of no limit that
    /// there is, or of a period that is over, is of no concern.
    fn add(&self, kept: &Kept, unix: u64);
}
