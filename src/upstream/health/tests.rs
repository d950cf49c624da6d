//! The state machine, step by step.

use super::*;

const S: Duration = Duration::from_secs(1);
const MS: Duration = Duration::from_millis(1);

const POLICY: HealthPolicy = HealthPolicy {
    consecutive_failures: 3,
    failure_percent: 50,
    slow_percent: 300,
    requests: 10,
    window: Duration::from_secs(10),
    eject: Duration::from_secs(5),
    longest_eject: Duration::from_secs(60),
};

fn well() -> (Health, Instant) {
    let now = Instant::now();
    (Health::new(POLICY, now), now)
}

/// Fails in a row until it is out; how long it is.
fn eject(health: &mut Health, now: Instant) -> Duration {
    for _ in 0..POLICY.consecutive_failures {
        if let Some(Change::Ejected(_, time)) = health.failed(now) {
            return time;
        }
    }
    panic!("it is not ejected");
}

#[test]
fn failures_in_a_row_eject_and_a_success_between_them_does_not() {
    let now = Instant::now();
    let mut health = Health::new(HealthPolicy { failure_percent: 0, ..POLICY }, now);
    for _ in 0..5 {
        assert_eq!((health.failed(now), health.failed(now)), (None, None));
        assert_eq!(health.answered(now, MS), None);
    }
    let (mut health, now) = well();
    assert_eq!((health.failed(now), health.failed(now)), (None, None));
    assert_eq!(health.failed(now), Some(Change::Ejected(Ejection::InARow, 5 * S)));
    assert!(health.is_ejected() && !health.allows(now + 4 * S) && health.allows(now + 5 * S));
}

#[test]
fn a_share_of_failures_ejects_once_there_were_enough_requests() {
    let (mut health, now) = well();
    for nth in 0..4 {
        assert_eq!((health.failed(now), health.answered(now, MS)), (None, None), "{nth}");
    }
    assert_eq!(health.failed(now), None, "nine requests");
    assert_eq!(health.failed(now), Some(Change::Ejected(Ejection::Share, 5 * S)));
    let (mut health, now) = well();
    for nth in 0..100 {
        let at = now + nth * S * 6;
        assert_eq!((health.failed(at), health.failed(at)), (None, None), "none of it is recent");
        health.in_a_row = 0;
    }
}

#[test]
fn one_request_decides_whether_it_returns() {
    let (mut health, now) = well();
    let back = now + eject(&mut health, now);
    assert!(health.allows(back));
    health.asked(back);
    assert!(!health.allows(back), "one at a time");
    assert_eq!(health.answered(back + MS, MS), Some(Change::Returned));
    assert!(health.allows(back + MS) && !health.is_ejected());
    assert_eq!(health.failed(back + MS), None, "it begins anew");
}

#[test]
fn a_relapse_is_longer_up_to_the_longest_and_being_well_for_long_forgives_it() {
    let (mut health, mut now) = well();
    let mut time = eject(&mut health, now);
    for expected in [10, 20, 40, 60, 60] {
        now += time;
        health.asked(now);
        let change = health.failed(now);
        assert_eq!(change, Some(Change::Ejected(Ejection::Trial, expected * S)));
        time = expected * S;
    }
    now += time;
    health.asked(now);
    health.answered(now, MS);
    assert_eq!(eject(&mut health.clone(), now + 59 * S), 60 * S);
    assert_eq!(eject(&mut health, now + 60 * S), 5 * S);
}

#[test]
fn a_trial_that_never_ends_does_not_keep_it_out() {
    let (mut health, now) = well();
    let back = now + eject(&mut health, now);
    health.asked(back);
    assert!(!health.allows(back + 9 * S) && health.allows(back + 10 * S));
}

#[test]
fn what_was_sent_before_it_was_ejected_changes_nothing() {
    let (mut health, now) = well();
    eject(&mut health, now);
    assert_eq!((health.failed(now), health.answered(now, MS)), (None, None));
    assert!(!health.allows(now + S));
}

#[test]
fn one_much_slower_than_its_peers_is_ejected() {
    let slow_beside = |own: u32, peers: &mut [Duration]| {
        let (mut health, now) = well();
        (0..POLICY.requests).for_each(|_| assert_eq!(health.answered(now, own * MS), None));
        health.compare(peers, now).is_some()
    };
    assert!(slow_beside(2_000, &mut [200 * MS, 300 * MS, 100 * MS]));
    assert!(!slow_beside(500, &mut [200 * MS, 300 * MS, 100 * MS]), "less than three times");
    assert!(!slow_beside(30, &mut [MS]), "nobody can feel it");
    assert!(!slow_beside(9_000, &mut []), "it has no peers");
    assert!(!slow_beside(9_000, &mut [100 * MS, 9_000 * MS, 9_000 * MS]), "most are as slow");
}

#[test]
fn what_is_turned_off_ejects_nobody() {
    let off =
        HealthPolicy { consecutive_failures: 0, failure_percent: 0, slow_percent: 0, ..POLICY };
    let now = Instant::now();
    let mut health = Health::new(off, now);
    assert!((0..1_000).all(|_| health.failed(now).is_none()));
    (0..1_000).for_each(|_| assert_eq!(health.answered(now, 9 * S), None));
    assert_eq!(health.compare(&mut [MS], now), None);
}

#[test]
fn answers_cut_in_a_row_eject_though_each_of_them_began_well() {
    let now = Instant::now();
    let mut health = Health::new(HealthPolicy { failure_percent: 0, ..POLICY }, now);
    for nth in 1..3 {
        assert_eq!((health.answered(now, MS), health.cut(now, now)), (None, None), "{nth}");
    }
    health.ended(now, now);
    for nth in 1..3 {
        assert_eq!(
            (health.answered(now, MS), health.cut(now, now)),
            (None, None),
            "{nth} after a whole one"
        );
    }
    health.answered(now, MS);
    assert_eq!(health.cut(now, now), Some(Change::Ejected(Ejection::Cut, 5 * S)));
}

#[test]
fn a_share_of_cuts_ejects_and_a_request_counts_once() {
    let now = Instant::now();
    let mut health = Health::new(HealthPolicy { consecutive_failures: 0, ..POLICY }, now);
    for nth in 0..9 {
        assert_eq!(health.answered(now, MS), None);
        let change = if nth % 2 == 0 { health.cut(now, now) } else { health.ended(now, now) };
        assert_eq!(change, None, "{nth}");
    }
    health.answered(now, MS);
    assert_eq!(health.cut(now, now), Some(Change::Ejected(Ejection::Share, 5 * S)), "six of ten");
}

/// Ejected for its cuts at the time given back.
fn cut_out() -> (Health, Instant) {
    let (mut health, now) = well();
    for _ in 0..POLICY.consecutive_failures {
        health.answered(now, MS);
        health.cut(now, now);
    }
    assert!(health.is_ejected());
    (health, now)
}

#[test]
fn after_cuts_the_end_of_an_answer_ends_the_trial_and_not_its_head() {
    let (mut health, out) = cut_out();
    let back = out + 5 * S;
    health.asked(back);
    assert_eq!(health.answered(back, MS), None);
    assert!(!health.allows(back + MS));
    assert_eq!(health.ended(back + S, back), Some(Change::Returned));
    let (mut health, out) = cut_out();
    health.asked(out + 5 * S);
    health.answered(out + 5 * S, MS);
    let relapse = health.cut(out + 6 * S, out + 5 * S);
    assert_eq!(relapse, Some(Change::Ejected(Ejection::Trial, 10 * S)));
    health.asked(out + 16 * S);
    assert_eq!(health.answered(out + 16 * S, MS), None, "nor does it after a relapse");
}

#[test]
fn how_answers_end_that_began_before_it_was_ejected_says_nothing() {
    let (mut health, out) = cut_out();
    health.asked(out + 5 * S);
    assert_eq!((health.ended(out + 6 * S, out), health.cut(out + 6 * S, out)), (None, None));
    assert!(health.is_ejected());
}

#[test]
fn where_there_are_probes_one_of_them_takes_it_back_once_its_time_is_over_and_no_request_is_tried()
{
    let (mut health, now) = well();
    assert_eq!(health.probed(now, true, 3), None);
    let back = now + eject(&mut health, now);
    assert!(!health.allows(back + S), "not before a probe");
    assert_eq!(health.probed(now + S, true, 3), None, "not before its time");
    assert_eq!(health.probed(back, false, 3), None);
    assert_eq!(health.probed(back + S, true, 3), Some(Change::Returned));
    assert!(health.allows(back + S));
    let back = back + eject(&mut health, back + S) + S;
    health.adopt(POLICY, Probes::Never, back);
    assert!(health.allows(back), "without probes it is tried again");
}

#[test]
fn a_probe_that_was_under_way_when_probes_were_given_up_decides_nothing() {
    let (mut health, now) = well();
    assert_eq!(health.probed(now, true, 3), None);
    health.adopt(POLICY, Probes::Never, now);
    assert_eq!(health.probed(now, true, 3), None);
    let back = now + eject(&mut health, now);
    assert!(health.allows(back), "no other probe would take it back");
    assert_eq!(health.probed(back, true, 3), None);
    assert!(health.is_ejected());
}

#[test]
fn probes_that_fail_in_a_row_eject() {
    let (mut health, now) = well();
    assert_eq!((health.probed(now, false, 2), health.probed(now, true, 2)), (None, None));
    assert_eq!(health.probed(now, false, 2), None);
    let ejected = Some(Change::Ejected(Ejection::Probe, 5 * S));
    assert_eq!((health.probed(now, false, 2), health.probed(now, false, 2)), (ejected, None));
}
