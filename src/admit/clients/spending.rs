//! What a client's requests came to, since the process began: counters that workers add to and others read.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use crate::record::Usage;

/// A new request counts as much as all before it together, this many times over.
const LATE: u64 = 8;

/// Of one client and one model's label. Each only grows.
#[derive(Debug, Default)]
pub struct Cells {
    /// Requests that an upstream was asked.
    pub requests: AtomicU64,
    /// Tokens: [`Usage::input`].
    pub input: AtomicU64,
    /// Tokens: [`Usage::cached`].
    pub cached: AtomicU64,
    /// Tokens: [`Usage::output`].
    pub output: AtomicU64,
    /// Nanodollars.
    pub cost: AtomicU64,
    /// Requests of which the tokens are an estimate.
    pub estimated: AtomicU64,
}

/// Of one client. It outlives configurations.
#[derive(Debug, Default)]
pub struct Spending {
    /// By the model's label. Looked into at a reload, and by those who read.
    cells: Mutex<HashMap<Arc<str>, Arc<Cells>>>,
    late: Late,
}

/// What requests cost of late, on average; nothing where there was none yet. Workers that write at once lose one of
/// two, which is no matter in an average.
#[derive(Debug, Default)]
struct Late {
    input: AtomicU64,
    tokens: AtomicU64,
    cost: AtomicU64,
}

impl Cells {
    pub(super) fn add(&self, usage: Usage, cost: u64, estimated: bool) {
        self.requests.fetch_add(1, Relaxed);
        for (cell, much) in [
            (&self.input, usage.input),
            (&self.cached, usage.cached),
            (&self.output, usage.output),
            (&self.cost, cost),
            (&self.estimated, u64::from(estimated)),
        ] {
            if much > 0 {
                cell.fetch_add(much, Relaxed);
            }
        }
    }
}

impl Spending {
    /// The cells of a model's label.
    pub(super) fn cells(&self, model: &Arc<str>) -> Arc<Cells> {
        let mut cells = self.cells.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(cells.entry(Arc::clone(model)).or_default())
    }

    /// All labels with their cells.
    pub fn each(&self, mut each: impl FnMut(&str, &Cells)) {
        let cells = self.cells.lock().unwrap_or_else(PoisonError::into_inner);
        for (model, cells) in cells.iter() {
            each(model, cells);
        }
    }

    /// Tokens and nanodollars of a request of late; `None` where there was none yet.
    pub(super) fn of_late(&self) -> Option<(u64, u64)> {
        let tokens = self.late.tokens.load(Relaxed);
        (tokens > 0).then(|| (tokens, self.late.cost.load(Relaxed)))
    }

    /// Tokens of a request's input of late; 0 where there was none yet.
    pub(super) fn input_of_late(&self) -> u64 {
        self.late.input.load(Relaxed)
    }

    pub(super) fn learn(&self, usage: Usage, cost: u64) {
        average(&self.late.input, usage.input);
        average(&self.late.tokens, usage.input + usage.output);
        average(&self.late.cost, cost);
    }
}

/// An exponentially weighted moving average, rounded up so that it never comes to nothing.
fn average(of: &AtomicU64, new: u64) {
    let old = of.load(Relaxed);
    let next = if old == 0 {
        new
    } else {
        (old.saturating_mul(LATE - 1).saturating_add(new)).div_ceil(LATE)
    };
    of.store(next, Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_request_is_all_that_is_known_and_later_ones_move_it() {
        let spending = Spending::default();
        assert_eq!(spending.of_late(), None);
        spending.learn(Usage { input: 80, cached: 0, output: 20 }, 1_000);
        assert_eq!((spending.of_late(), spending.input_of_late()), (Some((100, 1_000)), 80));
        for _ in 0..100 {
            spending.learn(Usage { input: 800, cached: 0, output: 200 }, 9_000);
        }
        assert_eq!((spending.of_late(), spending.input_of_late()), (Some((1_000, 9_000)), 800));
    }
}
