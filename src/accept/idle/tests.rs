use super::*;
use crate::admit::Limit;

const S: Duration = Duration::from_secs(1);

struct Crowd {
    idle: Idle,
    limit: Limit,
    start: Instant,
}

impl Crowd {
    fn new(most: usize) -> Self {
        Self { idle: Idle::default(), limit: Limit::new(most), start: Instant::now() }
    }

    fn enter(&self, at: Duration) -> Rest {
        self.idle.enter(self.limit.enter().unwrap(), self.start + at)
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
    assert!(crowd.limit.enter().is_none());
    let limit_guard = crowd.idle.make_room(crowd.start + 4 * S);
    assert!(limit_guard.is_some());
    assert_eq!([0, 1, 2].map(|at| told(&rests[at])), [None, None, Some(Why::Room)]);
    assert_eq!(told(&rests[2]), None, "said once");
    assert!(crowd.limit.enter().is_none(), "the place is the newcomer's");
    let second = crowd.idle.make_room(crowd.start + 4 * S);
    assert_eq!(told(&rests[1]), Some(Why::Room));
    assert!(crowd.idle.make_room(crowd.start + 99 * S).is_none(), "the last one has a request");
    drop((limit_guard, second));
    assert!(crowd.limit.enter().is_some());
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

#[test]
fn what_a_crowd_took_is_given_up_when_it_has_left() {
    let crowd = Crowd::new(20_000);
    let stays = crowd.enter(S);
    let mut all: Vec<_> = (0..10_000).map(|_| crowd.enter(S)).collect();
    let last = all.pop();
    drop(all);
    let nodes = || crowd.idle.0.lists.borrow().nodes.capacity();
    assert!(nodes() >= 10_000, "one at the end keeps it");
    let again: Vec<_> = (0..9_999).map(|_| crowd.enter(S)).collect();
    drop(last);
    drop(again);
    assert!(nodes() <= SMALL, "{} nodes for one connection", nodes());
    let free = crowd.idle.0.lists.borrow().free.capacity();
    assert!(free <= SMALL, "{free} free ones remembered");
    assert_eq!(crowd.resting(), 1);
    drop(stays);
    let few: Vec<_> = (0..10).map(|_| crowd.enter(S)).collect();
    assert_eq!((few.len(), crowd.resting()), (10, 10));
}
