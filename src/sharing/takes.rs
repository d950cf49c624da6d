//! Requests that are being decided at the server, and those of which nobody knows whether they were.

use std::collections::BTreeSet;

use super::script::{Ask, Take};

/// Of one instance.
#[derive(Debug, Default)]
pub(super) struct Takes {
    /// So far.
    made: u64,
    /// What became of them is not known.
    open: BTreeSet<u64>,
    /// Of these nobody will say it.
    lost: Vec<(Take, Vec<Ask>)>,
}

impl Takes {
    /// One more.
    pub(super) fn begin(&mut self, key: String) -> Take {
        self.made += 1;
        self.open.insert(self.made);
        Take { key, number: self.made, is_void: false, settled: self.settled() }
    }

    /// It is known what became of it.
    pub(super) fn settle(&mut self, number: u64) {
        self.open.remove(&number);
        self.lost.retain(|(take, _)| take.number != number);
    }

    /// Its answer will not come. `asks`: what it would have taken.
    pub(super) fn lose(&mut self, take: Take, asks: Vec<Ask>) {
        if !self.open.contains(&take.number) {
            return; // of another server
        }
        let back = asks.into_iter().filter(|ask| !ask.is_slots());
        let back = back.map(|ask| Ask { n: -ask.n, need: 0, ..ask });
        self.lost.push((Take { is_void: true, ..take }, back.collect()));
    }

    /// Those to be made void.
    pub(super) fn lost(&self) -> Vec<(Take, Vec<Ask>)> {
        let settled = self.settled();
        let each = self.lost.iter().cloned();
        each.map(|(take, asks)| (Take { settled, ..take }, asks)).collect()
    }

    /// There is another server, which knows of none of them.
    pub(super) fn forget(&mut self) {
        self.open.clear();
        self.lost.clear();
    }

    fn settled(&self) -> u64 {
        self.open.first().copied().unwrap_or(self.made + 1)
    }
}
