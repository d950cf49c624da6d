//! What a worker holds for peers who do not take it, and who is ended when that is too much.
//!
//! Each look at memory hands out how much more may be held until the next one. Here is counted what is:
//! exactly, without sharing, and only where memory has a ceiling. Where more would be held, those are
//! ended who have waited longest for their peer, until it fits: who reads is not touched.

mod allowance;
mod share;
#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::memory::{Level, Pressure};
use allowance::{Allowance, FREE, STEP};

pub use share::Share;

/// Who has waited for less is not ended so that others may come in: a busy client takes nothing for so long
/// now and then.
const PAUSE: Duration = Duration::from_secs(1);

/// And where the ceiling is near, for less: what is under way may grow by more until the next look.
const URGENT: Duration = Duration::from_millis(100);

/// What was given back shows in a measurement within so long: an allocator keeps it for a while. Until
/// then it is not asked for again.
const SHOWS: Duration = Duration::from_millis(500);

/// One worker's.
pub struct Stock {
    pressure: Pressure,
    allowance: Allowance,
    waiting: RefCell<Vec<Rc<Share>>>,
}

impl Stock {
    /// Holds nothing yet; one of so many workers.
    pub fn new(pressure: Pressure, workers: usize) -> Rc<Self> {
        Rc::new(Self { pressure, allowance: Allowance::new(workers), waiting: RefCell::default() })
    }

    /// Counts what is held of a request; `None` where memory has no ceiling.
    pub fn share(self: &Rc<Self>) -> Option<Rc<Share>> {
        self.pressure.look().is_one().then(|| Rc::new(Share::new(Rc::clone(self))))
    }

    /// What memory allows.
    pub fn pressure(&self) -> &Pressure {
        &self.pressure
    }

    /// As much is held as looks allow, and by nobody who could be ended for it.
    pub fn is_full(&self) -> bool {
        self.allowance.look(self.pressure.look());
        self.allowance.is_full()
    }

    /// Bytes that nobody needs may be kept all the same. A quarter is left to those who need it: nobody is
    /// to be ended for a copy.
    pub fn has_room_for(&self, bytes: usize) -> bool {
        if self.pressure.level() != Level::Calm {
            return false;
        }
        self.allowance.look(self.pressure.look());
        self.allowance.leaves_a_quarter(bytes)
    }

    /// Gives back what looks find to be too much, for as long as it is polled.
    pub async fn watch(self: Rc<Self>) {
        let mut looks = self.pressure.listen();
        let (mut given, mut since) = (0, Instant::now());
        loop {
            let found = self.pressure.over(&mut looks).await;
            let over = self.allowance.part_of(found.bytes);
            let pause = if found.urgent { URGENT } else { PAUSE };
            if since.elapsed() > SHOWS {
                (given, since) = (0, Instant::now());
            }
            if over > given && self.allowance.held() > FREE {
                given += self.relieve((over - given).max(STEP), pause);
            }
        }
    }

    fn add(&self, bytes: u64) {
        self.allowance.add(bytes);
        self.allowance.look(self.pressure.look());
        if let Some(over) = self.allowance.over() {
            self.relieve(over + STEP, Duration::ZERO);
            if self.allowance.over().is_some() {
                self.allowance.fill();
            }
        }
    }

    fn sub(&self, bytes: u64) {
        self.allowance.sub(bytes);
    }

    /// Ends who has waited longest, and at least for `pause`, until so many bytes are given back. How many
    /// were.
    fn relieve(&self, bytes: u64, pause: Duration) -> u64 {
        let (now, mut freed) = (Instant::now(), 0);
        while freed < bytes {
            let waiting = self.waiting.borrow();
            let since = |share: &&Rc<Share>| share.since.get();
            let oldest = waiting.iter().filter(|share| share.may_end(now, pause)).min_by_key(since);
            let Some(oldest) = oldest.cloned() else { break };
            drop(waiting);
            freed += oldest.held.get();
            oldest.end();
        }
        freed
    }
}
