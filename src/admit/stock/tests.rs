use std::task::Waker;

use super::share::LAST_BYTES;
use super::*;
use crate::admit::memory::{Headroom, LevelSetter};
use crate::transport::Wire;

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
    assert!(!long.is_ended() && stock.allowance.held() == 500 * KIB as u64);
    takes.add(100 * KIB);
    assert!(long.is_ended() && !short.is_ended() && !takes.is_ended());
    assert_eq!(stock.allowance.held(), 400 * KIB as u64, "what is ended counts no more");
    long.sub(200 * KIB);
    drop(long);
    assert_eq!(stock.allowance.held(), 400 * KIB as u64);
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
        assert!(stock.allowance.held() <= allowed + STEP, "{nth}: {}", stock.allowance.held());
    }
    assert!(all.iter().filter(|share| share.is_ended()).count() > 900);
    assert!(stock.waiting.borrow().len() < 100, "who is ended waits no more");
    for share in &all {
        share.go_on();
    }
    drop(all);
    assert_eq!((stock.allowance.held(), stock.waiting.borrow().len()), (0, 0));
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
