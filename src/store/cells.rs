//! What is counted of a client and a model, and what was spent of a budget.

use serde::{Deserialize, Serialize};

/// Requests and what they came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cells {
    /// Requests.
    pub requests: u64,
    /// Tokens of requests.
    pub input: u64,
    /// The part of `input` that an upstream's cache had.
    pub cached: u64,
    /// Tokens of answers.
    pub output: u64,
    /// Nanodollars.
    pub cost: u64,
    /// Requests of which the tokens are an estimate.
    pub estimated: u64,
}

/// What was spent of a budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Balance {
    /// In which period; a later one has a greater number.
    pub period: u64,
    /// Tokens or nanodollars.
    pub spent: u64,
}

impl Cells {
    /// Adds what others came to.
    pub fn add(&mut self, more: Self) {
        let mut all = self.fields();
        for (one, more) in all.iter_mut().zip(more.fields()) {
            *one = one.saturating_add(more);
        }
        *self = Self::of(all);
    }

    /// What came since these were `before`. Counters that went back began anew: all of them is new.
    pub(super) fn since(self, before: Self) -> Self {
        let pairs = self.fields().into_iter().zip(before.fields());
        if pairs.clone().any(|(now, before)| now < before) {
            return self;
        }
        let mut more = [0; 6];
        for (one, (now, before)) in more.iter_mut().zip(pairs) {
            *one = now - before;
        }
        Self::of(more)
    }

    /// In the order of the fields.
    pub fn fields(self) -> [u64; 6] {
        let Self { requests, input, cached, output, cost, estimated } = self;
        [requests, input, cached, output, cost, estimated]
    }

    pub(super) fn of([requests, input, cached, output, cost, estimated]: [u64; 6]) -> Self {
        Self { requests, input, cached, output, cost, estimated }
    }
}

impl Balance {
    /// With what was spent elsewhere: only what is of one period adds up, and a later one is what counts.
    pub(super) fn with(self, more: Self) -> Self {
        match self.period.cmp(&more.period) {
            std::cmp::Ordering::Less => more,
            std::cmp::Ordering::Equal => {
                Self { spent: self.spent.saturating_add(more.spent), ..self }
            }
            std::cmp::Ordering::Greater => self,
        }
    }

    /// What was spent since it was `before`; `None` where that is not known, because a counter went back.
    pub(super) fn since(self, before: Option<Self>) -> Option<Self> {
        match before {
            Some(before) if before.period == self.period => {
                let spent = self.spent.checked_sub(before.spent)?;
                Some(Self { spent, ..self })
            }
            Some(before) if before.period > self.period => None,
            _ => Some(self),
        }
    }
}
