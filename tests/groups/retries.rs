//! Asking again those that failed: after a pause, as long as they asked for, within a budget, and never
//! what the client has a byte of.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use firstbyte::config::{Config, Protocol, Retry, Triggers};
use loadtest::upstream::{Builder, Cut, Script, Upstream};

use crate::support::group::{Several, ask, ok};
use crate::support::peers::http1_client::Http1;
use crate::support::refusal::assert_refused;

/// The first `bad` requests get `script`, the others an answer.
fn mending(bad: usize, script: Script) -> Builder {
    let asked = Arc::new(AtomicUsize::new(0));
    Upstream::builder().clear().http2().respond(move |_| {
        let nth = asked.fetch_add(1, Ordering::Relaxed);
        if nth < bad { script.clone() } else { ok("in the end") }
    })
}

fn retrying(times: u32) -> impl FnOnce(&mut Config) {
    move |config| {
        config.groups[0].retry =
            Retry { times, pause: Duration::from_millis(20), budget: 100, ..Retry::default() };
    }
}

fn of(members: Vec<Builder>, change: impl FnOnce(&mut Config)) -> Several {
    Several::of(members, Protocol::Http2, change)
}

#[test]
fn those_that_failed_are_asked_again_as_often_as_the_operator_wants() {
    let limited = Script::new().answer(429, &[], "busy");
    let several = of(vec![mending(2, limited.clone())], retrying(2));
    let answer = several.ask(&ask());
    assert_eq!((answer.status, &*answer.body()), (200, &b"in the end"[..]));
    assert_eq!(several.fixture.count(r#"firstbyte_retries_total{upstream="a"}"#), 2);
    let log = several.access_log();
    assert_eq!((&log[0]["attempts"], &log[0]["retries"]), (&3.into(), &2.into()));
    assert!(log[0]["retry_wait_us"].as_f64().is_some(), "{}", log[0]);
    for times in [0, 1] {
        let several = of(vec![mending(2, limited.clone())], retrying(times));
        assert_eq!(several.ask(&ask()).status, 429);
        assert_eq!(several.asked(), [u64::from(times) + 1]);
    }
}

#[test]
fn all_members_are_asked_before_one_is_asked_again() {
    let refused = Script::new().refuse();
    // A refused request is replayed on the same upstream first: two each.
    let several = of(vec![mending(2, refused.clone()), mending(2, refused)], retrying(1));
    assert_eq!(several.ask(&ask()).status, 200);
    assert_eq!(several.asked(), [3, 2], "`a` is the first of the second round too");
}

#[test]
fn who_asks_to_be_left_alone_is_left_alone_that_long() {
    for (name, value) in [("retry-after-ms", "700"), ("retry-after", "0.7")] {
        let limited = Script::new().answer(429, &[(name, value)], "busy");
        let several = of(vec![mending(1, limited)], retrying(1));
        let began = Instant::now();
        assert_eq!(several.ask(&ask()).status, 200);
        assert!(began.elapsed() >= Duration::from_millis(700), "{name}");
    }
}

#[test]
fn a_pause_longer_than_may_be_is_told_to_the_client_at_once() {
    let limited = Script::new().answer(429, &[("retry-after", "3600")], "busy");
    let several = of(vec![mending(1, limited)], retrying(3));
    let answer = several.ask(&ask());
    assert_eq!((answer.status, answer.header("retry-after")), (429, Some("3600")));
    assert_eq!(several.asked(), [1]);
    let log = several.access_log();
    assert_eq!(log[0]["attempt_prevented"], "retry_after");
}

#[test]
fn a_pause_beyond_the_client_s_own_time_is_not_begun() {
    let limited = Script::new().answer(429, &[("retry-after", "4")], "busy");
    let several = of(vec![mending(1, limited)], retrying(3));
    let answer = several.ask(&ask().header("x-firstbyte-timeout-ms", "3000"));
    assert_eq!((answer.status, answer.header("retry-after")), (429, Some("4")));
    assert_eq!(several.access_log()[0]["attempt_prevented"], "deadline");
}

/// Everything fails: beside a hundred requests, and the first, which finds the reserve full, there are ten
/// retries of the budget and ten of the reserve.
#[test]
fn retries_cannot_become_the_outage() {
    let several = of(vec![mending(usize::MAX, Script::new().answer(503, &[], ""))], |config| {
        retrying(5)(config);
        (config.groups[0].retry.budget, config.groups[0].retry.pause) =
            (10, Duration::from_millis(1));
    });
    let mut client = Http1::new(several.fixture.connect());
    for _ in 0..101 {
        assert_eq!(client.ask(&ask()).status, 503);
    }
    assert_eq!(several.asked(), [101 + 10 + 10]);
    let series = r#"firstbyte_attempts_prevented_total{reason="budget"}"#;
    assert!(several.fixture.count(series) > 70);
}

#[test]
fn what_may_have_been_processed_is_not_asked_again_unless_the_operator_says_so() {
    let cut = Script::new().cut(Cut::Rst);
    let several = of(vec![mending(1, cut.clone())], retrying(3));
    assert_refused(&several.ask(&ask()), 502, "upstream_closed");
    assert_eq!(several.asked(), [1]);
    let several = of(vec![mending(1, cut)], |config| {
        retrying(3)(config);
        config.groups[0].failover_on = Triggers::CLOSED;
    });
    assert_eq!(several.ask(&ask()).body(), b"in the end");
}

#[test]
fn after_a_byte_for_the_client_nothing_is_asked_again() {
    let cut = Script::new().stream().body("data: 1\n\n").cut(Cut::Fin);
    let several = of(vec![mending(1, cut)], |config| {
        retrying(3)(config);
        config.groups[0].failover_on = Triggers::CLOSED.and(Triggers::statuses(400..600));
    });
    let mut client = crate::support::peers::raw_http1::Client::connect(&several.fixture);
    client.ask("/v1/chat/completions", b"{}");
    assert!(!client.answer().expect("a head").whole);
    assert_eq!(several.asked(), [1]);
}
