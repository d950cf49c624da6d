use super::*;
use std::time::Duration;

fn frame(kind: u8, flags: u8, length: u32) -> Vec<u8> {
    let mut frame = length.to_be_bytes()[1..].to_vec();
    frame.extend([kind, flags, 0, 0, 0, 1]);
    frame.resize(9 + length as usize, 0);
    frame
}

fn tally(now: Instant) -> Tally {
    Tally::new(0, 0, now)
}

#[test]
fn a_flood_of_any_kind_ends_within_its_burst() {
    let now = Instant::now();
    for (kind, flags, length) in [
        (DATA, 0, 0),
        (DATA, PADDED, 256),
        (2, 0, 5),
        (3, 0, 4),
        (4, 0, 0),
        (4, 0, 6),
        (4, 1, 0),
        (6, 0, 8),
        (6, 1, 8),
        (8, 0, 4),
        (9, 0, 0),
        (0xba, 0, 0),
    ] {
        let (mut tally, frame) = (tally(now), frame(kind, flags, length));
        let passed = (0..BURST * 2).take_while(|_| tally.came(&frame, now)).count();
        assert_eq!(passed, BURST as usize, "kind {kind}");
    }
}

#[test]
fn what_carries_a_body_is_free() {
    let now = Instant::now();
    let mut tally = tally(now);
    for (flags, length) in [(0, 1), (END_STREAM, 0), (PADDED, 257)] {
        assert!((0..100_000).all(|_| tally.came(&frame(DATA, flags, length), now)));
    }
}

#[test]
fn a_reader_may_answer_each_frame_of_an_answer_and_each_burst() {
    let now = Instant::now();
    let (mut tally, update, ping) = (tally(now), frame(8, 0, 4), frame(6, 0, 8));
    for _ in 0..100_000 {
        tally.went(&frame(DATA, 0, 1));
        assert!(tally.came(&update, now) && tally.came(&update, now) && tally.came(&ping, now));
    }
    for _ in 0..1_000 {
        tally.went(&frame(DATA, 0, 16_384));
    }
    assert!((0..64_000).all(|_| tally.came(&update, now)), "in parts of 256 bytes, all at the end");
}

#[test]
fn a_request_may_come_with_its_priority() {
    let now = Instant::now();
    let mut tally = tally(now);
    for _ in 0..100_000 {
        tally.came(&frame(HEADERS, END_STREAM, 20), now);
        assert!((0..BY_HEAD).all(|_| tally.came(&frame(2, 0, 5), now)));
    }
}

#[test]
fn our_own_answers_to_a_flood_earn_it_nothing() {
    let now = Instant::now();
    let mut tally = tally(now);
    let passed = (0..BURST * 2).take_while(|_| {
        tally.went(&frame(6, 1, 8));
        tally.went(&frame(4, 1, 0));
        tally.went(&frame(DATA, 0, 0));
        tally.came(&frame(6, 0, 8), now)
    });
    assert_eq!(passed.count(), BURST as usize);
}

#[test]
fn keep_alive_pings_go_on_for_ever() {
    let mut now = Instant::now();
    let mut tally = tally(now);
    for _ in 0..100_000 {
        now += Duration::from_millis(10);
        assert!(tally.came(&frame(6, 0, 8), now));
    }
}

#[test]
fn a_turn_ends_after_so_many_frames_and_begins_anew() {
    let now = Instant::now();
    let mut tally = tally(now);
    let data = frame(DATA, 0, 1);
    (1..A_TURN).for_each(|_| assert!(tally.came(&data, now) && !tally.ends_turn()));
    assert!(tally.came(&data, now) && tally.ends_turn() && !tally.ends_turn());
}

#[test]
fn who_has_sent_all_that_the_window_holds_waits_for_us() {
    let now = Instant::now();
    let mut tally = tally(now);
    for _ in 0..3 {
        tally.came(&frame(DATA, 0, 16_384), now);
    }
    tally.came(&frame(DATA, 0, 16_382), now);
    assert!(!tally.is_shut(), "one byte is left");
    tally.came(&frame(DATA, 0, 1), now);
    assert!(tally.is_shut());
    let mut update = frame(WINDOW_UPDATE, 0, 4);
    update[12] = 1;
    tally.went(&update);
    assert!(tally.is_shut(), "a stream's window is another one");
    update[8] = 0;
    tally.went(&update);
    assert!(!tally.is_shut());
}

#[test]
fn the_last_stream_is_the_highest_that_was_begun() {
    let now = Instant::now();
    let mut tally = tally(now);
    let mut second = frame(HEADERS, 0, 0);
    second[8] = 5;
    tally.came(&second, now);
    tally.came(&frame(HEADERS, 0, 0), now);
    assert_eq!(tally.last_stream(), 5);
}
