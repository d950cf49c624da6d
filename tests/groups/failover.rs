//! An upstream that cannot or will not answer: the next of its group does, and the client sees nothing of
//! it. Never after a byte of an answer, never with another's key, never a part of a body.

use std::net::TcpListener;
use std::time::Duration;

use bytes::Bytes;
use firstbyte::config::{Config, Protocol, Triggers};
use loadtest::upstream::{Cut, Script, Upstream};

use crate::support::fixture::PATIENCE;
use crate::support::group::{Several, ask, key_of, ok};
use crate::support::message::{Answer, Length};
use crate::support::peers::http1_client::Http1;
use crate::support::refusal::assert_refused;

fn assert_from(answer: &Answer, name: &str) {
    assert_eq!(answer.header("x-firstbyte-upstream"), Some(name), "{answer:?}");
}

/// `a` was left for `b`, which answered; told to the client, in the metrics and in the log.
#[track_caller]
fn assert_fails_over(several: Several, reason: &str) {
    let answer = several.ask(&ask());
    assert_eq!((answer.status, &*answer.body()), (200, &b"from b"[..]), "{answer:?}");
    assert_from(&answer, "b");
    let series = format!(r#"firstbyte_failovers_total{{from="a",to="b",reason="{reason}"}}"#);
    assert_eq!(several.fixture.count(&series), 1, "{series}");
    let log = several.access_log();
    assert_eq!((log.len(), &log[0]["upstream"]), (1, &"b".into()));
    assert_eq!(log[0]["attempts"], 2);
    assert_eq!(log[0]["failovers"], serde_json::json!([{ "from": "a", "reason": reason }]));
    assert_eq!((&log[0]["outcome"], &log[0]["error"]), (&"complete".into(), &().into()));
}

fn on(triggers: Triggers) -> impl FnOnce(&mut Config) {
    |config| config.groups[0].failover_on = triggers
}

#[test]
fn an_upstream_that_is_down_is_passed_over_and_the_proxy_is_ready_without_it() {
    let port = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a port");
    // The fixture waits until the proxy is ready.
    let several = Several::configured(&[ok("from a"), ok("from b")], |config| {
        config.upstreams[0].port = port.port();
        config.upstreams.iter_mut().for_each(|up| up.deadlines.connect = Duration::from_secs(1));
    });
    assert_eq!(several.fixture.admin("/readyz").0, 200);
    assert_fails_over(several, "connect");
}

#[test]
fn an_upstream_without_a_free_stream_is_passed_over() {
    let several = Several::configured(&[Script::new().stream().stall(), ok("from b")], |config| {
        let pool = &mut config.upstreams[0].pool;
        (pool.min_connections, pool.max_connections, pool.streams_per_connection) = (1, 1, 1);
        pool.queue = Some(0);
    });
    let mut first = Http1::new(several.fixture.connect());
    first.send(&ask());
    assert_from(&first.head(&ask()), "a");
    let answer = several.ask(&ask());
    assert_eq!((answer.status, &*answer.body()), (200, &b"from b"[..]));
    let series = r#"firstbyte_failovers_total{from="a",to="b",reason="queue"}"#;
    assert_eq!(several.fixture.count(series), 1);
}

#[test]
fn a_refused_stream_goes_elsewhere() {
    let several = Several::scripted(&[Script::new().refuse(), ok("from b")]);
    assert_fails_over(several, "refused");
}

#[test]
fn a_status_that_was_chosen_goes_elsewhere_and_another_does_not() {
    let limited = Script::new().rate_limited(Duration::from_secs(3));
    assert_fails_over(Several::scripted(&[limited, ok("from b")]), "rate_limited");
    let broken = Script::new().answer(500, &[], "from a");
    let chosen =
        Several::configured(&[broken.clone(), ok("from b")], on(Triggers::statuses([500])));
    assert_fails_over(chosen, "status");
    let several = Several::scripted(&[broken, ok("from b")]);
    let answer = several.ask(&ask());
    assert_eq!((answer.status, &*answer.body()), (500, &b"from a"[..]));
    assert_from(&answer, "a");
    assert_eq!(several.asked(), [1, 0]);
}

#[test]
fn a_head_that_does_not_come_goes_elsewhere_only_if_the_operator_says_so() {
    let late = |config: &mut Config| {
        config.upstreams[0].deadlines.response_head = Duration::from_millis(300);
    };
    let scripts = [Script::new().stall(), ok("from b")];
    let several = Several::configured(&scripts, |config| {
        late(config);
        on(Triggers::HEAD_TIMEOUT)(config);
    });
    assert!(several.fixture.upstream.requests() == 0);
    assert_fails_over(several, "head_timeout");
    let several = Several::configured(&scripts, late);
    assert_refused(&several.ask(&ask()), 504, "head_timeout");
    assert!(several.fixture.upstream.wait_for_cancel(0, PATIENCE).is_some(), "`a` is told");
    assert_eq!(several.asked(), [1, 0], "`a` may have processed it");
}

#[test]
fn a_connection_that_dies_goes_elsewhere_only_if_the_operator_says_so() {
    let scripts = [Script::new().cut(Cut::Rst), ok("from b")];
    assert_fails_over(Several::configured(&scripts, on(Triggers::CLOSED)), "closed");
    let several = Several::scripted(&scripts);
    assert_refused(&several.ask(&ask()), 502, "upstream_closed");
    assert_eq!(several.asked(), [1, 0], "`a` may have processed it");
}

#[test]
fn after_the_head_a_cut_is_a_cut() {
    let all = Triggers::CLOSED.and(Triggers::HEAD_TIMEOUT).and(Triggers::statuses(400..600));
    let cut = Script::new().stream().body("data: 1\n\n").cut(Cut::Fin);
    let several = Several::configured(&[cut, ok("from b")], on(all));
    let mut client = crate::support::peers::raw_http1::Client::connect(&several.fixture);
    client.ask("/v1/chat/completions", b"{}");
    let answer = client.answer().expect("a head");
    assert_eq!((answer.status, answer.text().as_str()), (200, "data: 1\n\n"));
    assert!(!answer.whole, "it does not look like one that ended");
    assert_eq!(several.asked(), [1, 0]);
}

#[test]
fn every_upstream_sees_its_own_key_and_no_other() {
    let refusals =
        [Script::new().refuse(), Script::new().rate_limited(Duration::ZERO), ok("from c")];
    let several = Several::scripted(&refusals);
    let asked = ask().header("authorization", "Bearer sk-theirs").header("x-mine", "kept");
    assert_from(&several.ask(&asked), "c");
    let all = std::iter::once(&several.fixture.upstream).chain(&several.others);
    for (nth, upstream) in all.enumerate() {
        let log = upstream.log();
        assert!(!log.requests.is_empty());
        for seen in &log.requests {
            assert_eq!(seen.header_values("authorization"), [format!("Bearer {}", key_of(nth))]);
            assert_eq!(seen.header("x-mine"), Some("kept"));
            let text = format!("{:?}", seen.headers);
            let others = (0..3).filter(|other| *other != nth).map(key_of);
            assert!(others.chain(["sk-theirs".into()]).all(|key| !text.contains(&key)), "{text}");
        }
    }
}

#[test]
fn the_next_one_gets_the_whole_body_from_its_beginning() {
    let several =
        Several::scripted(&[Script::new().rate_limited(Duration::ZERO), Script::new().echo()]);
    let pieces: Vec<_> = (0..40_u8).map(|n| Bytes::from(vec![n; 5_000])).collect();
    for length in [Length::Known, Length::Unknown] {
        let answer = several.ask(&ask().body(pieces.clone(), length));
        assert_from(&answer, "b");
        assert_eq!(answer.body(), pieces.concat(), "{length:?}");
        let first = several.fixture.upstream.log();
        assert_eq!(first.requests.last().map(|seen| seen.body_len), Some(200_000));
    }
}

/// `a` answers before it has read the body: what it did not take goes to `b` as well.
#[test]
fn a_body_that_was_still_coming_is_whole_too() {
    let early = Script::new().early().rate_limited(Duration::ZERO);
    let several = Several::scripted(&[early, Script::new().echo()]);
    let pieces: Vec<_> = (0..10_u8).map(|n| Bytes::from(vec![n; 10_000])).collect();
    let asked = ask().body(pieces.clone(), Length::Known);
    let mut client = Http1::new(several.fixture.connect());
    client.send_head(&asked);
    let (begin, rest) = pieces.split_at(3);
    for piece in begin {
        client.send_piece(&asked, piece);
    }
    several.fixture.wait_until("`a` was left", |fixture| {
        fixture.count(r#"firstbyte_failovers_total{from="a",to="b",reason="rate_limited"}"#) == 1
    });
    for piece in rest {
        client.send_piece(&asked, piece);
    }
    let answer = client.answer(&asked);
    assert_from(&answer, "b");
    assert_eq!(answer.body(), pieces.concat());
}

#[test]
fn a_body_beyond_what_is_kept_stays_where_it_is_and_the_reason_is_recorded() {
    let limited = Script::new().answer(429, &[("retry-after", "7")], "from a");
    let several = Several::configured(&[limited, ok("from b")], |config| {
        config.limits.replay_bytes = 10_000;
    });
    let answer = several.ask(&ask().body(vec![Bytes::from(vec![7; 20_000])], Length::Known));
    assert_eq!((answer.status, &*answer.body()), (429, &b"from a"[..]));
    assert_eq!(answer.header("retry-after"), Some("7"));
    assert_eq!(several.asked(), [1, 0]);
    let fixture = &several.fixture;
    assert_eq!(fixture.count(r#"firstbyte_attempts_prevented_total{reason="body"}"#), 1);
    let log = several.access_log();
    assert_eq!((&log[0]["attempt_prevented"], &log[0]["attempts"]), (&"body".into(), &1.into()));
}

#[test]
fn where_nobody_does_better_the_client_gets_an_upstream_s_own_words() {
    let limited = Script::new().answer(429, &[("retry-after", "7")], "from a");
    let several = Several::scripted(&[limited, Script::new().refuse(), Script::new().refuse()]);
    let answer = several.ask(&ask());
    assert_eq!((answer.status, &*answer.body()), (429, &b"from a"[..]), "{answer:?}");
    assert_eq!(answer.header("retry-after"), Some("7"));
    assert_from(&answer, "a");
    let log = several.access_log();
    assert_eq!((&log[0]["upstream"], &log[0]["status"]), (&"a".into(), &429.into()));
    assert_eq!((&log[0]["attempts"], &log[0]["error"]), (&3.into(), &().into()));
}

#[test]
fn where_all_answer_badly_the_last_one_s_answer_is_the_client_s() {
    let bad = |body: &str| Script::new().answer(503, &[], body.to_owned());
    let several = Several::scripted(&[bad("from a"), bad("from b")]);
    let answer = several.ask(&ask());
    assert_eq!((answer.status, &*answer.body()), (503, &b"from b"[..]));
    assert_from(&answer, "b");
    assert_eq!(several.asked(), [1, 1]);
}

#[test]
fn where_nobody_can_be_reached_the_client_is_told_of_the_last() {
    let several = Several::scripted(&[Script::new().refuse(), Script::new().refuse()]);
    assert_refused(&several.ask(&ask()), 502, "upstream_reset");
}

/// Over HTTP/1.1 a connection closes under an answer that is not read to its end.
#[test]
fn an_answer_that_is_passed_over_costs_no_connection() {
    let http1 = |script: Script| Upstream::builder().clear().http1().script(script);
    let limited = Script::new().answer(429, &[], "x".repeat(20_000));
    let members = vec![http1(limited), http1(ok("from b"))];
    let several = Several::of(members, Protocol::Http1, |_| {});
    let mut client = Http1::new(several.fixture.connect());
    for _ in 0..50 {
        assert_from(&client.ask(&ask()), "b");
    }
    let log = several.fixture.upstream.log();
    assert_eq!(log.requests.len(), 50);
    assert!(log.connections.len() < 6, "{} connections", log.connections.len());
}
