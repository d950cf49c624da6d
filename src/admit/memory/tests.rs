use std::time::{Duration, Instant};

use super::monitor::{LATEST, SOONEST};
use super::pressure::STILL_TO_COME;
use super::*;

const CEILING: u64 = 1000;

fn after(ms: u64, start: Instant) -> Instant {
    start + Duration::from_millis(ms)
}

#[test]
fn it_rises_at_once_and_through_both_marks() {
    let start = Instant::now();
    let mut monitor = MemoryMonitor::new(CEILING, start);
    assert_eq!(monitor.see(749, start), Level::Calm);
    assert_eq!(monitor.see(750, start), Level::Shed);
    assert_eq!(monitor.see(900, start), Level::Shut);
    assert_eq!(MemoryMonitor::new(CEILING, start).see(2000, start), Level::Shut);
}

#[test]
fn it_falls_under_a_lower_mark_and_not_before_a_second_is_over() {
    let start = Instant::now();
    let mut monitor = MemoryMonitor::new(CEILING, start);
    assert_eq!(monitor.see(760, start), Level::Shed);
    assert_eq!(monitor.see(600, after(999, start)), Level::Shed, "too early");
    assert_eq!(monitor.see(701, after(2000, start)), Level::Shed, "not low enough");
    assert_eq!(monitor.see(699, after(2000, start)), Level::Calm);
}

#[test]
fn it_falls_step_by_step_or_all_the_way_as_memory_does() {
    let start = Instant::now();
    let mut monitor = MemoryMonitor::new(CEILING, start);
    monitor.see(990, start);
    assert_eq!(monitor.see(780, after(1000, start)), Level::Shed);
    assert_eq!(
        monitor.see(100, after(1500, start)),
        Level::Shed,
        "this level is half a second old"
    );
    assert_eq!(monitor.see(100, after(2000, start)), Level::Calm);
    monitor.see(990, after(2000, start));
    assert_eq!(monitor.see(100, after(3000, start)), Level::Calm);
}

#[test]
fn what_one_look_hands_out_stays_under_the_ceiling_and_says_what_is_too_much() {
    for used in (0..=CEILING).step_by(10) {
        let mut monitor = MemoryMonitor::new(CEILING, Instant::now());
        monitor.see(used, Instant::now());
        let headroom = monitor.headroom(used);
        assert!(
            used + headroom.requests + headroom.held <= CEILING.max(used),
            "{used}: {headroom:?}"
        );
        assert_eq!(headroom.over, if used < 750 { 0 } else { used - 700 });
        assert_eq!(
            (headroom.requests == 0, headroom.held == 0),
            (used >= 749, used >= 697),
            "{used}"
        );
    }
}

#[test]
fn the_nearer_the_ceiling_the_sooner_the_next_look() {
    let monitor = MemoryMonitor::new(1 << 30, Instant::now());
    let pauses = [0, 700 << 20, 740 << 20, 900 << 20].map(|used| monitor.pause(used));
    assert!(pauses.is_sorted_by(|far, near| far > near), "{pauses:?}");
    assert_eq!((pauses[0], pauses[3]), (LATEST, SOONEST));
}

#[test]
fn whoever_looks_sees_what_was_shown_and_nobody_shows_to_nobody() {
    let pressure = Pressure::default();
    let level_setter = pressure.level_setter(CEILING);
    assert_eq!(pressure.level(), Level::Calm);
    assert!(!pressure.look().is_one() && !pressure.is_short());
    let headroom = Headroom { requests: 100, held: 70, over: 0, urgent: false };
    level_setter.show(Level::Shut, headroom);
    assert_eq!(pressure.clone().level(), Level::Shut);
    let first = pressure.look();
    assert!(first.is_one() && first.held() == 70);
    level_setter.show(Level::Shut, headroom);
    assert_ne!(pressure.look(), first, "another look, although it found the same");
    assert!(level_setter.is_seen());
    drop(pressure);
    assert!(!level_setter.is_seen());
}

#[test]
fn requests_weigh_until_they_end_and_each_look_gives_room_anew() {
    let pressure = Pressure::default();
    let level_setter = pressure.level_setter(CEILING);
    assert!(!pressure.weigh(1 << 50).1, "no bound where nobody looks");
    let headroom = Headroom { requests: 100, held: 0, over: 0, urgent: false };
    level_setter.show(Level::Calm, headroom);
    let (mut first, much) = pressure.weigh(60);
    assert!(!much && !pressure.is_short());
    let (second, much) = pressure.weigh(60);
    assert!(much && pressure.is_short());
    drop(second);
    assert!(!pressure.is_short());
    level_setter.show(Level::Calm, headroom);
    assert!(pressure.weigh(1).1, "what the first may still take is measured by nobody");
    first.answered();
    level_setter.show(Level::Calm, headroom);
    assert!(!pressure.weigh(100).1, "what it took is measured by now");
    drop(first);
    level_setter.show(Level::Calm, Headroom { requests: STILL_TO_COME, ..headroom });
    let (_waits, _) = pressure.weigh(1);
    level_setter.show(Level::Calm, Headroom { requests: STILL_TO_COME, ..headroom });
    assert!(!pressure.weigh(STILL_TO_COME / 2).1 && pressure.weigh(STILL_TO_COME).1);
}
