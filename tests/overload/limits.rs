//! More clients than there is room for: told so at once, in the protocol that they speak, and when to come
//! back; and nobody who is in suffers for it.

use std::io::{ErrorKind, Read, Write};
use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

use firstbyte::config::{Config, Route};
use loadtest::upstream::Script;

use crate::support::fixture::Fixture;
use crate::support::group::{Several, ok};
use crate::support::message::Ask;
use crate::support::pairing::{CLIENTS, upstream};
use crate::support::peers::http1_client::Http1;
use crate::support::refusal::assert_refused;

fn ask() -> Ask {
    Ask::post("/v1/chat/completions", r#"{"stream":true}"#)
}

fn stalling(change: impl FnOnce(&mut Config)) -> Fixture {
    Fixture::configured(upstream().script(Script::new().stream().stall()), change)
}

/// A stream that has begun and goes on until it is dropped.
fn begin(fixture: &Fixture) -> Http1 {
    let mut client = Http1::new(fixture.connect());
    client.send(&ask());
    assert_eq!(client.head(&ask()).status, 200);
    client
}

fn sheds(fixture: &Fixture, reason: &str) -> u64 {
    fixture.count(&format!("firstbyte_shed_total{{reason=\"{reason}\"}}"))
}

#[test]
fn a_connection_beyond_the_bound_is_told_when_to_come_back() {
    let fixture = stalling(|config| config.limits.connections = 1);
    let first = begin(&fixture);
    for speaks in CLIENTS {
        assert_refused(&speaks.connect(&fixture).ask(&ask()), 503, "too_many_connections");
    }
    let mut closed = Http1::new(fixture.connect());
    assert_refused(&closed.ask(&ask()), 503, "too_many_connections");
    closed.assert_closed();
    assert_eq!(sheds(&fixture, "connections"), 3);
    drop(first);
    fixture.wait_until("its place is free", |fixture| {
        let mut next = Http1::new(fixture.connect());
        next.send(&ask());
        next.head(&ask()).status == 200
    });
    let log = fixture.access_log();
    let told: Vec<_> = log.iter().filter(|line| line["error"] == "too_many_connections").collect();
    assert!(told.len() >= 3 && told.iter().all(|line| line["status"] == 503), "{log:?}");
}

#[test]
fn who_says_nothing_on_a_connection_beyond_the_bound_is_closed_on_and_counted() {
    let fixture = stalling(|config| config.limits.connections = 1);
    let _first = begin(&fixture);
    let mut silent = fixture.connect();
    assert_eq!(silent.read(&mut [0]).expect("a clean end"), 0);
    fixture.wait_until("it is counted", |fixture| sheds(fixture, "unanswered") == 1);
}

/// So many are waited for at once, each for a second at most: who comes after them is closed on before
/// the first of them, however many come.
#[test]
fn of_a_crowd_beyond_the_bound_only_so_many_take_room() {
    let fixture = stalling(|config| config.limits.connections = 1);
    let _first = begin(&fixture);
    let last_goes_first = || {
        let crowd: Vec<_> = (0..200).map(|_| fixture.connect()).collect();
        let (mut first, mut last) = (&crowd[0], &crowd[199]);
        assert_eq!(last.read(&mut [0]).expect("a clean end"), 0);
        first.set_nonblocking(true).expect("can be set");
        first.read(&mut [0]).is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
    };
    // A machine that stands still for a second in between shows nothing.
    assert!((0..5).any(|_| last_goes_first()), "all of a crowd are waited for");
    assert_eq!(fixture.count("firstbyte_client_connections"), 1);
}

#[test]
fn a_route_s_own_bound_is_429_and_other_routes_go_on() {
    let fixture = stalling(|config| {
        config.routes[0].streams = Some(1);
        config.routes.push(Route::new("/other", config.routes[0].target));
    });
    let first = begin(&fixture);
    for speaks in CLIENTS {
        assert_refused(&speaks.connect(&fixture).ask(&ask()), 429, "route_busy");
    }
    let mut other = Http1::new(fixture.connect());
    let elsewhere = Ask::post("/other/chat/completions", "{}");
    other.send(&elsewhere);
    assert_eq!(other.head(&elsewhere).status, 200);
    assert_eq!(sheds(&fixture, "route_streams"), 2);
    drop(first);
    fixture.wait_until("its place is free", |fixture| {
        let mut next = Http1::new(fixture.connect());
        next.send(&ask());
        next.head(&ask()).status == 200
    });
    let log = fixture.access_log();
    let told = log.iter().find(|line| line["error"] == "route_busy").expect("a line");
    assert_eq!((&told["route"], &told["status"]), (&"/v1".into(), &429.into()));
}

#[test]
fn an_upstream_s_bound_holds_over_all_workers() {
    let fixture = stalling(|config| {
        config.workers = NonZeroUsize::new(2).expect("two");
        config.upstreams[0].streams = Some(2);
    });
    let mut clients: Vec<_> = (0..6).map(|_| Http1::new(fixture.connect())).collect();
    for client in &mut clients {
        client.send(&ask());
    }
    let mut in_flight = Vec::new();
    for mut client in clients {
        let head = client.head(&ask());
        if head.status == 200 {
            in_flight.push(client);
        } else {
            assert_eq!((head.status, head.header("retry-after")), (503, Some("1")));
        }
    }
    assert_eq!(in_flight.len(), 2);
    assert_eq!(sheds(&fixture, "upstream_streams"), 4);
    drop(in_flight);
    fixture.wait_until("its places are free", |fixture| {
        let mut next = Http1::new(fixture.connect());
        next.send(&ask());
        next.head(&ask()).status == 200
    });
}

#[test]
fn a_group_asks_its_next_member_where_one_may_not_be_asked_more() {
    let scripts = [Script::new().stream().stall(), ok("b")];
    let several = Several::configured(&scripts, |config| config.upstreams[0].streams = Some(1));
    let _first = begin(&several.fixture);
    let answer = several.ask(&ask());
    assert_eq!((answer.status, answer.body()), (200, b"b".to_vec()));
    assert_eq!(answer.header("x-firstbyte-upstream"), Some("b"));
    let led_on = r#"firstbyte_failovers_total{from="a",to="b",reason="queue"}"#;
    assert_eq!(several.fixture.count(led_on), 1);
    assert_eq!(sheds(&several.fixture, "upstream_streams"), 0, "nobody was refused");
}

#[test]
fn what_was_taken_for_the_beginning_of_http2_counts_against_the_head_s_time() {
    let fixture = stalling(|config| config.client.head = Duration::from_secs(2));
    let mut client = fixture.connect();
    let began = Instant::now();
    client.write_all(b"PRI * HTTP/").expect("the proxy reads");
    // The pace is what is tested: one byte in three quarters of the time.
    std::thread::park_timeout(Duration::from_millis(1500));
    client.write_all(b"1.").expect("the proxy reads");
    let mut answer = String::new();
    client.read_to_string(&mut answer).expect("an answer and a clean end");
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert!(began.elapsed() < Duration::from_secs(3), "the time began anew: {:?}", began.elapsed());
}
