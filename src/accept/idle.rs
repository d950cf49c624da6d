//! Connections without a request in flight, those that rest longest first.
//!
//! Two lists in the order in which connections came to rest: one of those that have asked before, one of
//! those that never have. Whoever rests too long, or longest when a newcomer needs the place, is at the
//! front: nothing is searched, however many there are.
//!
//! Who never asked makes room first. Who has asked does so only while there are more of them than of those
//! who have just connected and said nothing: a crowd that dials and never asks must not end the connections
//! of those who do.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use crate::admit::Place;
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
    free: Vec<usize>,
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
    place: Option<Place>,
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

const NEVER_ASKED: usize = 0;
const ASKED: usize = 1;

impl Idle {
    /// One that shows other workers how many rest.
    pub fn showing(shown: Arc<AtomicUsize>) -> Self {
        Self(Rc::new(Inner { lists: RefCell::default(), shown }))
    }

    /// A connection with this place, that has not asked for anything at `now`.
    pub(super) fn enter(&self, place: Place, now: Instant) -> Rest {
        let mut lists = self.0.lists.borrow_mut();
        let node = Node { place: Some(place), ..Node::default() };
        let at = if let Some(at) = lists.free.pop() {
            lists.nodes[at] = node;
            at
        } else {
            lists.nodes.push(node);
            lists.nodes.len() - 1
        };
        lists.link(at, NEVER_ASKED, now);
        drop(lists);
        self.0.show(1);
        Rest { idle: Rc::clone(&self.0), at, told: Cell::new(false) }
    }

    /// Sends away the connection that rests longest at `now`, and gives its place; see the module. Who has just
    /// come is about to ask.
    pub(super) fn make_room(&self, now: Instant) -> Option<Place> {
        let mut lists = self.0.lists.borrow_mut();
        let at = lists.longest(now)?;
        let waker = lists.tell(at, Why::Room);
        let place = lists.nodes[at].place.take();
        drop(lists);
        self.0.gone(waker);
        place
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
        let node = std::mem::take(&mut lists.nodes[self.at]);
        lists.free.push(self.at);
        drop(lists);
        drop(node); // its place is the next one's
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admit::Bound;

    const S: Duration = Duration::from_secs(1);

    struct Crowd {
        idle: Idle,
        bound: Bound,
        start: Instant,
    }

    impl Crowd {
        fn new(most: usize) -> Self {
            Self { idle: Idle::default(), bound: Bound::new(most), start: Instant::now() }
        }

        fn enter(&self, at: Duration) -> Rest {
            self.idle.enter(self.bound.enter().unwrap(), self.start + at)
        }

        fn resting(&self) -> usize {
            self.idle.0.shown.load(Ordering::Relaxed)
        }
    }

    fn told(rest: &Rest) -> Option<Why> {
        rest.poll_told(&Context::from_waker(Waker::noop()))
    }

    #[test]
    fn who_rests_longest_makes_room_and_who_has_a_request_does_not() {
        let crowd = Crowd::new(3);
        let rests = [crowd.enter(S), crowd.enter(2 * S), crowd.enter(3 * S)];
        rests[0].ends();
        rests[1].ends();
        rests[1].begins(|| crowd.start + 4 * S);
        assert!(crowd.bound.enter().is_none());
        let place = crowd.idle.make_room(crowd.start + 4 * S);
        assert!(place.is_some());
        assert_eq!([0, 1, 2].map(|at| told(&rests[at])), [None, None, Some(Why::Room)]);
        assert_eq!(told(&rests[2]), None, "said once");
        assert!(crowd.bound.enter().is_none(), "the place is the newcomer's");
        let second = crowd.idle.make_room(crowd.start + 4 * S);
        assert_eq!(told(&rests[1]), Some(Why::Room));
        assert!(crowd.idle.make_room(crowd.start + 99 * S).is_none(), "the last one has a request");
        drop((place, second));
        assert!(crowd.bound.enter().is_some());
    }

    #[test]
    fn who_has_just_come_is_not_sent_away_for_the_next() {
        let crowd = Crowd::new(3);
        let rests = [crowd.enter(S), crowd.enter(S), crowd.enter(S)];
        let soon = crowd.start + S + S / 2;
        assert!(crowd.idle.make_room(soon).is_none());
        for asked in &rests[1..] {
            asked.ends();
            asked.begins(|| crowd.start + S);
        }
        assert!(crowd.idle.make_room(soon).is_some());
        assert_eq!([0, 1, 2].map(|at| told(&rests[at])), [None, Some(Why::Room), None]);
        assert!(crowd.idle.make_room(soon).is_none(), "as many have just come as have asked");
        assert!(crowd.idle.make_room(crowd.start + 2 * S).is_some());
        assert_eq!([0, 2].map(|at| told(&rests[at])), [Some(Why::Room), None]);
    }

    #[test]
    fn who_never_asked_is_given_less_time() {
        let crowd = Crowd::new(9);
        let rests = [crowd.enter(S), crowd.enter(S), crowd.enter(8 * S)];
        rests[0].ends();
        rests[0].begins(|| crowd.start + 2 * S);
        crowd.idle.tidy(crowd.start + 12 * S, 10 * S, 75 * S);
        assert_eq!([0, 1, 2].map(|at| told(&rests[at])), [None, Some(Why::Rest), None]);
        crowd.idle.tidy(crowd.start + 77 * S, 10 * S, 75 * S);
        assert_eq!([0, 2].map(|at| told(&rests[at])), [Some(Why::Rest); 2]);
        rests[0].begins(|| crowd.start + 78 * S);
        assert_eq!(crowd.resting(), 0, "who is told to go need not be told again");
    }

    #[test]
    fn a_place_is_free_again_when_its_connection_ends_in_any_state() {
        let crowd = Crowd::new(4);
        let rests = [crowd.enter(S), crowd.enter(S), crowd.enter(S), crowd.enter(S)];
        rests[1].ends();
        crowd.idle.tidy(crowd.start + 2 * S, S, S);
        assert_eq!(crowd.resting(), 0);
        drop(rests);
        let again = [1, 2, 3, 4].map(|_| crowd.enter(3 * S));
        assert_eq!((crowd.resting(), crowd.idle.0.lists.borrow().nodes.len()), (4, 4));
        drop(again);
        assert_eq!(crowd.resting(), 0);
    }

    #[test]
    fn the_order_holds_however_they_come_and_go() {
        let crowd = Crowd::new(100);
        let rests: Vec<_> = (0..50).map(|nth| crowd.enter(nth * S)).collect();
        for (_, rest) in rests.iter().enumerate().filter(|(nth, _)| nth % 3 == 0) {
            rest.ends();
            rest.begins(|| crowd.start + 100 * S);
        }
        let mut expected: Vec<_> = (0..50).filter(|nth| nth % 3 != 0).collect();
        expected.truncate(10);
        for nth in expected {
            drop(crowd.idle.make_room(crowd.start + 99 * S));
            assert_eq!(told(&rests[nth]), Some(Why::Room), "the {nth}th");
        }
    }
}
