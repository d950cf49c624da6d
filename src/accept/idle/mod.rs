//! Connections without a request in flight, those that rest longest first.
//!
//! Two lists in the order in which connections came to rest: one of those that have asked before, one of
//! those that never have. Whoever rests too long, or longest when a newcomer needs the place, is at the
//! front: nothing is searched, however many there are.
//!
//! Who never asked makes room first. Who has asked does so only while there are more of them than of those
//! who have just connected and said nothing: a crowd that dials and never asks must not end the connections
//! of those who do.

#[cfg(test)]
mod tests;

use std::cell::{Cell, RefCell};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use crate::admit::LimitGuard;
use crate::record::Hangup;

/// One worker's. Clones share it.
#[derive(Clone, Default)]
pub struct Idle(Rc<Inner>);

#[derive(Default)]
struct Inner {
    lists: RefCell<Lists>,
    /// How many rest, for the other workers.
    shown: Arc<AtomicUsize>,
}

#[derive(Default)]
struct Lists {
    nodes: Vec<Node>,
    /// Unused nodes, those in front first, so that the end empties and can be given up. Some may be in use
    /// again, or gone.
    free: BinaryHeap<Reverse<usize>>,
    /// Those that never asked, and those that have.
    ends: [Ends; 2],
}

#[derive(Debug, Clone, Copy, Default)]
struct Ends {
    first: Option<usize>,
    last: Option<usize>,
    count: usize,
}

#[derive(Default)]
struct Node {
    used: bool,
    limit_guard: Option<LimitGuard>,
    waker: Option<Waker>,
    told: Option<Why>,
    /// In which list it is, if it rests.
    rests: Option<(usize, Instant)>,
    before: Option<usize>,
    after: Option<usize>,
}

/// Why a connection is to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    /// It rested for too long; a request that is on its way is still served.
    Rest,
    /// A newcomer has its place already.
    Room,
}

impl From<Why> for Hangup {
    fn from(why: Why) -> Self {
        match why {
            Why::Rest => Self::Idle,
            Why::Room => Self::Room,
        }
    }
}

/// One connection among them, for as long as it lives.
pub(super) struct Rest {
    idle: Rc<Inner>,
    at: usize,
    told: Cell<bool>,
}

/// The time that somebody who has just connected has to ask before its place is a newcomer's.
const FIRST_WORDS: Duration = Duration::from_secs(1);

/// Nodes that are kept though nobody uses them.
const SMALL: usize = 64;

const NEVER_ASKED: usize = 0;
const ASKED: usize = 1;

impl Idle {
    /// One that shows other workers how many rest.
    pub fn showing(shown: Arc<AtomicUsize>) -> Self {
        Self(Rc::new(Inner { lists: RefCell::default(), shown }))
    }

    /// A connection with this place, that has not asked for anything at `now`.
    pub(super) fn enter(&self, limit_guard: LimitGuard, now: Instant) -> Rest {
        let mut lists = self.0.lists.borrow_mut();
        let at = lists.put(Node { used: true, limit_guard: Some(limit_guard), ..Node::default() });
        lists.link(at, NEVER_ASKED, now);
        drop(lists);
        self.0.show(1);
        Rest { idle: Rc::clone(&self.0), at, told: Cell::new(false) }
    }

    /// Sends away the connection that rests longest at `now`, and gives its place; see the module. Who has just
    /// come is about to ask.
    pub(super) fn make_room(&self, now: Instant) -> Option<LimitGuard> {
        let mut lists = self.0.lists.borrow_mut();
        let at = lists.longest(now)?;
        let waker = lists.tell(at, Why::Room);
        let limit_guard = lists.nodes[at].limit_guard.take();
        drop(lists);
        self.0.gone(waker);
        limit_guard
    }

    /// Sends those away that rest for longer at `now` than who never asked may (`head`), or who has (`idle`).
    pub(super) fn tidy(&self, now: Instant, head: Duration, idle: Duration) {
        loop {
            let mut lists = self.0.lists.borrow_mut();
            let due = |(at, since): &(usize, Instant)| {
                let most = if lists.has_asked(*at) { idle } else { head };
                now.saturating_duration_since(*since) >= most
            };
            let Some((at, _)) = lists.fronts().find(due) else { return };
            let waker = lists.tell(at, Why::Rest);
            drop(lists);
            self.0.gone(waker);
        }
    }
}

impl Inner {
    fn gone(&self, waker: Option<Waker>) {
        self.show(-1);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn show(&self, more: isize) {
        // Only this worker writes it; who reads it can't rely on it for longer than it takes to read.
        let now = self.shown.load(Ordering::Relaxed).saturating_add_signed(more);
        self.shown.store(now, Ordering::Relaxed);
    }
}

impl Lists {
    fn put(&mut self, node: Node) -> usize {
        while let Some(Reverse(at)) = self.free.pop() {
            match self.nodes.get_mut(at) {
                Some(free) if !free.used => {
                    *free = node;
                    return at;
                }
                Some(_in_use) => {}
                None => self.free = BinaryHeap::new(), // and so are all behind it
            }
        }
        self.nodes.push(node);
        self.nodes.len() - 1
    }

    /// What a crowd took is given up once most of it has left.
    fn take(&mut self, at: usize) -> Node {
        let node = std::mem::take(&mut self.nodes[at]);
        while self.nodes.pop_if(|last| !last.used).is_some() {}
        if self.nodes.len() < self.nodes.capacity() / 4 {
            self.nodes.shrink_to(SMALL.max(self.nodes.len() * 2));
            self.free.retain(|Reverse(at)| *at < self.nodes.len());
            self.free.shrink_to_fit();
        }
        if at < self.nodes.len() {
            self.free.push(Reverse(at));
        }
        node
    }

    /// Of each list the one that rests longest.
    fn fronts(&self) -> impl Iterator<Item = (usize, Instant)> {
        [NEVER_ASKED, ASKED].into_iter().filter_map(|list| self.front(list))
    }

    fn front(&self, list: usize) -> Option<(usize, Instant)> {
        let at = self.ends[list].first?;
        Some((at, self.nodes[at].rests?.1))
    }

    /// Who makes room.
    fn longest(&self, now: Instant) -> Option<usize> {
        if let Some((at, since)) = self.front(NEVER_ASKED)
            && now.saturating_duration_since(since) >= FIRST_WORDS
        {
            return Some(at);
        }
        let more = self.ends[ASKED].count > self.ends[NEVER_ASKED].count;
        self.front(ASKED).filter(|_| more).map(|(at, _)| at)
    }

    /// Of one that rests.
    fn has_asked(&self, at: usize) -> bool {
        self.nodes[at].rests.is_some_and(|(list, _)| list == ASKED)
    }

    fn tell(&mut self, at: usize, why: Why) -> Option<Waker> {
        self.unlink(at);
        self.nodes[at].told = Some(why);
        self.nodes[at].waker.take()
    }

    fn link(&mut self, at: usize, list: usize, since: Instant) {
        self.ends[list].count += 1;
        let before = self.ends[list].last.replace(at);
        match before {
            Some(before) => self.nodes[before].after = Some(at),
            None => self.ends[list].first = Some(at),
        }
        let node = &mut self.nodes[at];
        (node.rests, node.before, node.after) = (Some((list, since)), before, None);
    }

    fn unlink(&mut self, at: usize) -> bool {
        let node = &mut self.nodes[at];
        let Some((list, _)) = node.rests.take() else { return false };
        self.ends[list].count -= 1;
        let node = &mut self.nodes[at];
        let (before, after) = (node.before.take(), node.after.take());
        match before {
            Some(before) => self.nodes[before].after = after,
            None => self.ends[list].first = after,
        }
        match after {
            Some(after) => self.nodes[after].before = before,
            None => self.ends[list].last = before,
        }
        true
    }
}

impl Rest {
    /// A request begins.
    pub(super) fn ends(&self) {
        if self.idle.lists.borrow_mut().unlink(self.at) {
            self.idle.show(-1);
        }
    }

    /// The last request has ended, unless it rests already. Not for who was told to go: it need not be
    /// told again.
    pub(super) fn begins(&self, now: impl FnOnce() -> Instant) {
        let mut lists = self.idle.lists.borrow_mut();
        let node = &lists.nodes[self.at];
        if node.rests.is_none() && node.told.is_none() {
            lists.link(self.at, ASKED, now());
            drop(lists);
            self.idle.show(1);
        }
    }

    /// Why it is to go: said once; until then its task is woken for it.
    pub(super) fn poll_told(&self, cx: &Context<'_>) -> Option<Why> {
        if self.told.get() {
            return None;
        }
        let mut lists = self.idle.lists.borrow_mut();
        let node = &mut lists.nodes[self.at];
        if node.told.is_some() {
            self.told.set(true);
        } else if !node.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            node.waker = Some(cx.waker().clone());
        }
        node.told
    }
}

impl Drop for Rest {
    fn drop(&mut self) {
        self.ends();
        let mut lists = self.idle.lists.borrow_mut();
        let node = lists.take(self.at);
        drop(lists);
        drop(node); // its place is the next one's
    }
}
