//! `exact`: the server decides each request.

use std::time::Duration;

use super::relay::Relay;
use super::{
    asked, client, knows_of, pass, replica, server, shared, start, wait_shortly, wait_until,
};
use crate::keys::{answering, chat};
use crate::support::fixture::sum_of;

#[test]
fn three_processes_let_pass_exactly_what_one_would() {
    let Some(server) = server(&[]) else { return };
    let upstream = answering(|_| chat(1, 1));
    let text =
        format!("clients:\n{}", client("a", "limits: { rpm: 2, burst: 50m, concurrent: 50 }"));
    let exact = ", exact: true, timeout: 5s";
    let all: Vec<_> = (0..3).map(|_| replica(&upstream, &server, exact, &text)).collect();
    for one in &all {
        knows_of(one, 3);
    }
    let passed: usize = std::thread::scope(|scope| {
        let threads: Vec<_> = all.iter().map(|one| scope.spawn(|| pass(one, "a", 100).0)).collect();
        threads.into_iter().map(|one| one.join().expect("no panic")).sum()
    });
    assert!((100..=101).contains(&passed), "{passed} of 100, and what flowed in");
    let granted: u64 =
        all.iter().map(|one| one.count("firstbyte_redis_takes_total{result=\"granted\"}")).sum();
    assert_eq!(granted as usize, passed);
    wait_shortly("no slot is held", || {
        server.command(&["EXISTS", "firstbyte:{client a/concurrent}"]) == "0"
    });
}

#[test]
fn what_one_limit_refuses_no_other_has_counted_at_the_server_either() {
    let Some(server) = server(&[]) else { return };
    let upstream = answering(|_| chat(1, 1));
    let groups = "client_groups: { team: { limits: { rpm: 2, burst: 50m } }, small: { parent: team, limits: { rpm: 1, burst: 5m } } }\n";
    let text = format!(
        "{groups}clients:\n{}",
        client("a", "group: small, limits: { rpm: 2, burst: 50m }")
    );
    let program = replica(&upstream, &server, ", exact: true, timeout: 5s", &text);
    assert_eq!(pass(&program, "a", 30).0, 5);
    let used = |key: &str| {
        let used = server.command(&["HGET", &format!("firstbyte:{{{key}/rpm}}"), "used"]);
        used.parse::<u64>().expect("a number").div_ceil(60_000)
    };
    wait_until("all is told", || used("client a") <= 5);
    assert_eq!((used("client a"), used("client group team")), (5, 5));
}

#[test]
fn a_request_waits_no_longer_than_the_timeout_and_those_after_it_not_at_all() {
    let Some(server) = server(&[]) else { return };
    let upstream = answering(|_| chat(1, 1));
    let text = format!("clients:\n{}", client("a", "limits: { rpm: 1000000 }"));
    let program = replica(&upstream, &server, ", exact: true, timeout: 300ms", &text);
    assert_eq!(asked(&program, "a").status, 200);
    server.pause();
    let begun = std::time::Instant::now();
    assert_eq!(asked(&program, "a").status, 200, "on_loss: local");
    let waited = begun.elapsed();
    assert!(waited >= Duration::from_millis(290), "{waited:?}: it did ask");
    let (passed, longest) = pass(&program, "a", 50);
    assert_eq!(passed, 50);
    assert!(longest < Duration::from_millis(290), "{longest:?}");
    assert!(program.count("firstbyte_redis_takes_total{result=\"lost\"}") >= 1);
    server.go_on();
    shared(&program);
    let before = program.count("firstbyte_redis_takes_total{result=\"granted\"}");
    assert_eq!(asked(&program, "a").status, 200);
    assert_eq!(program.count("firstbyte_redis_takes_total{result=\"granted\"}"), before + 1);
}

#[test]
fn one_answer_that_is_slow_opens_no_budget_and_on_loss_holds_for_the_request_that_missed_it() {
    let upstream = answering(|_| chat(1, 1));
    let text = format!("clients:\n{}", client("a", "budget: { tokens: 100, per: total }"));
    for (on_loss, status) in [("local", 429), ("deny", 503), ("allow", 200)] {
        let Some(server) = server(&[]) else { return };
        let section = format!(", exact: true, timeout: 300ms, on_loss: {on_loss}");
        let program = replica(&upstream, &server, &section, &text);
        pass(&program, "a", 60);
        // What the first ones reserved comes back after some were refused.
        wait_until("it is used up, and the process knows", || {
            assert!(matches!(asked(&program, "a").status, 200 | 429));
            let series = "firstbyte_client_balance{client=\"a\"";
            sum_of(&program.page("/metrics"), series) <= 0.0
        });
        assert_eq!(asked(&program, "a").status, 429);
        server.pause();
        let after: Vec<_> = (0..20).map(|_| asked(&program, "a").status).collect();
        assert_eq!(after, [status; 20], "on_loss: {on_loss}");
        assert!(program.count("firstbyte_redis_takes_total{result=\"lost\"}") >= 1);
        server.go_on();
    }
}

#[test]
fn what_was_taken_by_a_request_whose_answer_was_lost_is_given_back() {
    let Some(server) = server(&[]) else { return };
    let (upstream, relay) = (answering(|_| chat(1, 1)), Relay::to(server.address));
    let clients = client("a", "limits: { rpm: 2, burst: 50m, concurrent: 9 }");
    // So that what passes was let pass at the server.
    let settings = "exact: true, timeout: 300ms, on_loss: deny";
    let text =
        format!("redis: {{ url: 'redis://{}', {settings} }}\nclients:\n{clients}", relay.address);
    let program = start(&upstream, &text);
    let results =
        |word: &str| program.count(&format!("firstbyte_redis_takes_total{{result=\"{word}\"}}"));
    shared(&program);
    wait_until("the server decides", || {
        asked(&program, "a").status == 200 && results("granted") > 0
    });
    assert_eq!(pass(&program, "a", 10).0, 10);
    relay.lose_answers();
    assert_eq!(asked(&program, "a").status, 503, "nobody knows whether it may");
    assert_eq!(results("lost"), 1);
    wait_until("it shares again", || {
        let before = results("granted");
        asked(&program, "a").status == 200 && results("granted") > before
    });
    let passed = program.count("firstbyte_client_requests_total{client=\"a\"");
    let used = || {
        let used = server.command(&["HGET", "firstbyte:{client a/rpm}", "used"]);
        used.parse::<u64>().expect("a number").div_ceil(60_000)
    };
    wait_until("all is told, and what was lost is given back", || used() == passed);
    wait_shortly("no slot is held", || {
        server.command(&["EXISTS", "firstbyte:{client a/concurrent}"]) == "0"
    });
}
