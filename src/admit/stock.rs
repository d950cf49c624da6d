//! What a worker holds for peers who do not take it, and who is ended when that is too much.
//!
//! Each look at memory hands out how much more may be held until the next one. Here is counted what is:
//! exactly, without sharing, and only where memory has a ceiling. Where more would be held, those are
//! ended who have waited longest for their peer, until it fits: who reads is not touched.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::Waker;
use std::time::{Duration, Instant};

use super::memory::{Level, Look, Pressure};
use crate::transport::Wire;

/// So much is held before anybody is ended for it, in each worker: memory that an allocator does not give
/// back would otherwise leave no room for good.
const FREE: u64 = 512 * 1024;

/// Who is looked for holds at least this much more: a search for each frame would cost more than it frees.
const STEP: u64 = 64 * 1024;

/// Who has waited for less is not ended so that others may come in: a busy client takes nothing for so long
/// now and then.
const PAUSE: Duration = Duration::from_secs(1);

/// And where the ceiling is near, for less: what is under way may grow by more until the next look.
const URGENT: Duration = Duration::from_millis(100);

/// What was given back shows in a measurement within so long: an allocator keeps it for a while. Until
/// then it is not asked for again.
const SHOWS: Duration = Duration::from_millis(500);

/// An answer that is complete, but for its last bytes, leaves with its connection only. That ends others
/// too, so it has longer.
const LAST_BYTES: Duration = Duration::from_secs(1);

/// One worker's.
pub struct Stock {
    pressure: Pressure,
    workers: u64,
    held: Cell<u64>,
    limit: Cell<u64>,
    seen: Cell<Look>,
    /// Nobody was left to be ended.
    full: Cell<bool>,
    waiting: RefCell<Vec<Rc<Share>>>,
}

/// What is held of one request, in one direction.
pub struct Share {
    stock: Rc<Stock>,
    held: Cell<u64>,
    /// Its place among those who wait.
    index: Cell<Option<usize>>,
    since: Cell<Instant>,
    end: RefCell<End>,
    ended: Cell<bool>,
}

/// How one that waits is ended.
enum End {
    /// It is woken, and finds that it [is ended](Share::is_ended).
    Wake(Option<Waker>),
    /// Its client's connection goes.
    Connection(Rc<Wire>),
}

impl Stock {
    /// Holds nothing yet; one of so many workers.
    pub fn new(pressure: Pressure, workers: usize) -> Rc<Self> {
        Rc::new(Self {
            pressure,
            workers: workers.max(1) as u64,
            held: Cell::default(),
            limit: Cell::default(),
            seen: Cell::default(),
            full: Cell::default(),
            waiting: RefCell::default(),
        })
    }

    /// Counts what is held of a request; `None` where memory has no ceiling.
    pub fn share(self: &Rc<Self>) -> Option<Rc<Share>> {
        self.pressure.look().is_one().then(|| {
            Rc::new(Share {
                stock: Rc::clone(self),
                held: Cell::default(),
                index: Cell::default(),
                since: Cell::new(Instant::now()),
                end: RefCell::new(End::Wake(None)),
                ended: Cell::default(),
            })
        })
    }

    /// What memory allows.
    pub fn pressure(&self) -> &Pressure {
        &self.pressure
    }

    /// As much is held as looks allow, and by nobody who could be ended for it.
    pub fn is_full(&self) -> bool {
        self.look();
        self.full.get()
    }

    /// Bytes that nobody needs may be kept all the same. A quarter is left to those who need it: nobody is
    /// to be ended for a copy.
    pub fn has_room_for(&self, bytes: usize) -> bool {
        if self.pressure.level() != Level::Calm {
            return false;
        }
        self.look();
        !self.seen.get().is_one() || self.held.get() + bytes as u64 <= self.limit.get() / 4 * 3
    }

    /// Gives back what looks find to be too much, for as long as it is polled.
    pub async fn watch(self: Rc<Self>) {
        let mut looks = self.pressure.listen();
        let (mut given, mut since) = (0, Instant::now());
        loop {
            let found = self.pressure.over(&mut looks).await;
            let over = found.bytes.div_ceil(self.workers);
            let pause = if found.urgent { URGENT } else { PAUSE };
            if since.elapsed() > SHOWS {
                (given, since) = (0, Instant::now());
            }
            if over > given && self.held.get() > FREE {
                given += self.relieve((over - given).max(STEP), pause);
            }
        }
    }

    /// A new look gives room anew.
    fn look(&self) {
        let look = self.pressure.look();
        if look != self.seen.replace(look) {
            self.limit.set((self.held.get() + look.held() / self.workers).max(FREE));
            self.full.set(false);
        }
    }

    fn add(&self, bytes: u64) {
        self.held.set(self.held.get() + bytes);
        self.look();
        if self.held.get() > self.limit.get() {
            self.relieve(self.held.get() - self.limit.get() + STEP, Duration::ZERO);
            if self.held.get() > self.limit.get() {
                self.full.set(true);
                // Not to be found out for each frame.
                self.limit.set(self.held.get() + STEP);
            }
        }
    }

    fn sub(&self, bytes: u64) {
        self.held.set(self.held.get().saturating_sub(bytes));
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

impl Share {
    /// Bytes that are held.
    pub fn held(&self) -> usize {
        self.held.get() as usize
    }

    /// So many bytes more are held.
    pub fn add(&self, bytes: usize) {
        if !self.ended.get() {
            self.held.set(self.held.get() + bytes as u64);
            self.stock.add(bytes as u64);
        }
    }

    /// So many are not held any more.
    pub fn sub(&self, bytes: usize) {
        if !self.ended.get() {
            self.held.set(self.held.get().saturating_sub(bytes as u64));
            self.stock.sub(bytes as u64);
        }
    }

    /// What was counted as so many bytes is so many now.
    pub fn set(&self, before: usize, now: usize) {
        if now >= before {
            self.add(now - before);
        } else {
            self.sub(before - now);
        }
    }

    /// The peer has taken nothing since then. If it is ended for that, `waker` is woken.
    pub fn wait(self: &Rc<Self>, since: Instant, waker: &Waker) {
        self.since.set(since);
        let mut end = self.end.borrow_mut();
        if !matches!(&*end, End::Wake(Some(known)) if known.will_wake(waker)) {
            *end = End::Wake(Some(waker.clone()));
        }
        drop(end);
        self.join();
    }

    /// What is left of an answer is in the hands of its connection alone.
    pub fn leave_to(self: &Rc<Self>, connection: &Rc<Wire>) {
        self.since.set(Instant::now());
        self.end.replace(End::Connection(Rc::clone(connection)));
        self.join();
    }

    /// The peer took something, or nothing is held any more.
    pub fn go_on(&self) {
        let Some(index) = self.index.take() else { return };
        let mut waiting = self.stock.waiting.borrow_mut();
        let _mine = waiting.swap_remove(index);
        if let Some(moved) = waiting.get(index) {
            moved.index.set(Some(index));
        }
    }

    /// It was ended for want of memory.
    pub fn is_ended(&self) -> bool {
        self.ended.get()
    }

    fn join(self: &Rc<Self>) {
        if self.index.get().is_none() && !self.ended.get() {
            let mut waiting = self.stock.waiting.borrow_mut();
            self.index.set(Some(waiting.len()));
            waiting.push(Rc::clone(self));
        }
    }

    fn may_end(&self, now: Instant, pause: Duration) -> bool {
        let least = match &*self.end.borrow() {
            End::Wake(_) => pause,
            End::Connection(_) => LAST_BYTES,
        };
        self.held.get() > 0 && now.saturating_duration_since(self.since.get()) >= least
    }

    /// Its bytes count as given back from here on: they are as soon as its task had its turn.
    fn end(&self) {
        self.go_on();
        self.stock.sub(self.held.take());
        self.ended.set(true);
        match self.end.replace(End::Wake(None)) {
            End::Wake(waker) => {
                if let Some(waker) = waker {
                    waker.wake();
                }
            }
            End::Connection(wire) => wire.doom(),
        }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.stock.sub(self.held.get());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admit::memory::{Headroom, LevelSetter};

    const KIB: usize = 1024;

    /// Short of memory from the first byte beyond what is always free.
    fn short() -> (Rc<Stock>, LevelSetter) {
        let pressure = Pressure::default();
        let level_setter = pressure.level_setter(1 << 30);
        level_setter.show(Level::Calm, Headroom::default());
        (Stock::new(pressure, 1), level_setter)
    }

    fn waiting(stock: &Rc<Stock>, bytes: usize, since: Instant) -> Rc<Share> {
        let share = stock.share().unwrap();
        share.wait(since, Waker::noop());
        share.add(bytes);
        share
    }

    #[test]
    fn nobody_counts_where_memory_has_no_ceiling() {
        let stock = Stock::new(Pressure::default(), 1);
        assert!(stock.share().is_none());
        assert!(stock.has_room_for(usize::MAX / 2));
    }

    #[test]
    fn who_waits_longest_is_ended_first_and_who_takes_is_not() {
        let (stock, _gauge) = short();
        let now = Instant::now();
        let at = |ms: u64| now.checked_sub(Duration::from_millis(ms)).unwrap();
        let takes = waiting(&stock, 200 * KIB, at(900));
        takes.go_on();
        let long = waiting(&stock, 200 * KIB, at(500));
        let short = waiting(&stock, 100 * KIB, at(100));
        assert!(!long.is_ended() && stock.held.get() == 500 * KIB as u64);
        takes.add(100 * KIB);
        assert!(long.is_ended() && !short.is_ended() && !takes.is_ended());
        assert_eq!(stock.held.get(), 400 * KIB as u64, "what is ended counts no more");
        long.sub(200 * KIB);
        drop(long);
        assert_eq!(stock.held.get(), 400 * KIB as u64);
    }

    #[test]
    fn what_is_held_never_grows_beyond_what_looks_allow_whoever_comes() {
        let (stock, level_setter) = short();
        let mut all = Vec::new();
        for nth in 0..1000 {
            all.push(waiting(&stock, 64 * KIB, Instant::now()));
            if nth == 500 {
                level_setter
                    .show(Level::Calm, Headroom { held: 1024 * KIB as u64, ..Headroom::default() });
            }
            let allowed = if nth < 500 { FREE } else { FREE + 1024 * KIB as u64 };
            assert!(stock.held.get() <= allowed + STEP, "{nth}: {}", stock.held.get());
        }
        assert!(all.iter().filter(|share| share.is_ended()).count() > 900);
        assert!(stock.waiting.borrow().len() < 100, "who is ended waits no more");
        for share in &all {
            share.go_on();
        }
        drop(all);
        assert_eq!((stock.held.get(), stock.waiting.borrow().len()), (0, 0));
    }

    #[test]
    fn last_bytes_end_with_their_connection_and_not_at_once() {
        let (stock, _gauge) = short();
        let wire = Rc::new(Wire::new(Instant::now()));
        let last = stock.share().unwrap();
        last.add(400 * KIB);
        last.leave_to(&wire);
        let other = stock.share().unwrap();
        other.add(400 * KIB);
        assert!(!wire.is_doomed(), "it has not waited for long");
        last.since.set(Instant::now().checked_sub(LAST_BYTES).unwrap());
        other.add(400 * KIB);
        assert!(wire.is_doomed() && last.is_ended());
        assert!(stock.is_full(), "nobody else can be ended");
    }
}
