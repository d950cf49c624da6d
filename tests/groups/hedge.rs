//! A second upstream is asked beside one that is late: the first answer reaches the client whole, and the
//! other request is cancelled at once.

use std::time::Duration;

use bytes::Bytes;
use firstbyte::config::{Config, HealthPolicy, Hedge, Protocol, Retry, Triggers};
use loadtest::upstream::{Cut, End, Log, RequestSeen, Script, Upstream};

use crate::support::fixture::{Fixture, PATIENCE};
use crate::support::group::{Several, ask, key_of, ok};
use crate::support::message::{Answer, Ask, Length};
use crate::support::peers::http1_client::Http1;
use crate::support::refusal::assert_refused;

/// When a second one is asked while nothing is known of the group.
const SOON: Duration = Duration::from_millis(100);
/// Later than anything that is to come before it, also on a busy machine.
const LATE: Duration = Duration::from_secs(3);

const HEDGE: Hedge =
    Hedge { quantile: 95, floor: Duration::from_millis(1), ceiling: SOON, budget: 100 };

fn hedging(config: &mut Config) {
    config.groups[0].hedge = Some(HEDGE);
}

fn late(script: Script) -> Script {
    Script {
        steps: Script::new().wait(LATE).steps.into_iter().chain(script.steps).collect(),
        ..script
    }
}

fn hedges(fixture: &Fixture, to: &str, result: &str) -> u64 {
    fixture.count(&format!(r#"firstbyte_hedges_total{{upstream="{to}",result="{result}"}}"#))
}

fn losers(fixture: &Fixture, upstream: &str) -> u64 {
    fixture.count(&format!(r#"firstbyte_hedge_losers_total{{upstream="{upstream}"}}"#))
}

fn prevented(fixture: &Fixture, reason: &str) -> u64 {
    fixture.count(&format!(r#"firstbyte_attempts_prevented_total{{reason="{reason}"}}"#))
}

#[track_caller]
fn assert_from(answer: &Answer, name: &str) {
    let body = format!("from {name}");
    assert_eq!((answer.status, answer.body()), (200, body.into_bytes()), "{answer:?}");
    assert_eq!(answer.header("x-firstbyte-upstream"), Some(name), "{answer:?}");
}

/// What `upstream` saw of its first request, once it has ended.
fn ended(upstream: &Upstream) -> RequestSeen {
    let is_over = |seen: &RequestSeen| seen.end.is_some();
    assert!(upstream.wait_for(|log| log.requests.first().is_some_and(is_over), PATIENCE));
    upstream.log().requests[0].clone()
}

/// `b` answers in two parts, the second much later than the first: `a` is told between them.
fn assert_overtaken(several: Several, end: &End) {
    let answer = several.ask(&ask());
    assert_from(&answer, "b");
    let (first, second) = (ended(&several.fixture.upstream), ended(&several.others[0]));
    assert_eq!(first.end.as_ref(), Some(end));
    assert!(first.end_ns < second.end_ns, "`a` is told before the answer is over");
    assert_eq!(several.asked(), [1, 1]);
    assert_eq!((hedges(&several.fixture, "b", "won"), losers(&several.fixture, "a")), (1, 1));
    assert_eq!(losers(&several.fixture, "b"), 0);
    let line = several.access_log().remove(0);
    assert_eq!((&line["upstream"], &line["attempts"]), (&"b".into(), &2.into()), "{line}");
    assert_eq!((&line["hedge"]["to"], &line["hedge"]["result"]), (&"b".into(), &"won".into()));
    assert!(line["hedge"]["after_us"].as_f64() >= Some(SOON.as_micros() as f64), "{line}");
    assert_eq!(line["outcome"], "complete");
    assert!(line["cancel_us"].as_f64().is_some(), "how long `a` went untold: {line}");
    let (upstream, client) = (&line["ttfb_us"]["upstream"], &line["ttfb_us"]["client"]);
    let apart = client.as_f64().zip(upstream.as_f64()).map(|(client, upstream)| client - upstream);
    assert!(apart >= Some(SOON.as_micros() as f64), "timed from when `b` was asked: {line}");
}

fn in_two_parts() -> Script {
    Script::new().stream().body("from").wait(LATE / 2).body(" b").finish()
}

#[test]
fn an_answer_that_is_late_is_asked_for_elsewhere_and_the_loser_is_reset_at_once() {
    let several = Several::configured(&[Script::new().stall(), in_two_parts()], hedging);
    assert_overtaken(several, &End::Reset { code: 8 });
}

#[test]
fn over_http1_the_loser_s_connection_is_closed_at_once() {
    let http1 = |script: Script| Upstream::builder().clear().http1().script(script);
    let members = vec![http1(Script::new().stall()), http1(in_two_parts())];
    assert_overtaken(Several::of(members, Protocol::Http1, hedging), &End::PeerClosed);
}

#[test]
fn the_first_one_wins_if_it_answers_first_and_the_second_is_reset() {
    let several = Several::configured(&[late(ok("from a")), Script::new().stall()], |config| {
        config.groups[0].hedge = Some(Hedge { ceiling: LATE / 2, ..HEDGE });
    });
    assert_from(&several.ask(&ask()), "a");
    assert!(several.others[0].wait_for_cancel(0, PATIENCE).is_some(), "`b` is told");
    assert_eq!((hedges(&several.fixture, "b", "lost"), losers(&several.fixture, "b")), (1, 1));
    let line = several.access_log().remove(0);
    assert_eq!((&line["upstream"], &line["hedge"]["result"]), (&"a".into(), &"lost".into()));
    let ttfb = line["ttfb_us"]["upstream"].as_f64();
    assert!(
        ttfb > Some((LATE * 3 / 4).as_micros() as f64),
        "timed from when `a` was asked: {line}"
    );
}

#[test]
fn an_answer_in_time_is_not_asked_for_twice() {
    let usual = Script::new().wait(SOON).answer(200, &[], "from a");
    let several = Several::configured(&[usual, ok("from b")], |config| {
        config.groups[0].hedge = Some(Hedge { ceiling: PATIENCE, ..HEDGE });
    });
    let mut client = Http1::new(several.fixture.connect());
    (0..5).for_each(|_| assert_from(&client.ask(&ask()), "a"));
    assert_eq!(several.asked(), [5, 0]);
    assert_eq!(several.access_log()[0]["hedge"], serde_json::Value::Null);
}

/// The ceiling alone would be later than the client waits.
#[test]
fn how_late_is_late_is_learned_from_the_group_s_own_answers() {
    let quick_then_silent = Upstream::builder()
        .clear()
        .http2()
        .respond(|seen| if seen.nth < 4 { ok("from a") } else { Script::new().stall() });
    let other = Upstream::builder().clear().http2().script(ok("from b"));
    let several = Several::of(vec![quick_then_silent, other], Protocol::Http2, |config| {
        let floor = SOON * 2;
        config.groups[0].hedge =
            Some(Hedge { quantile: 50, floor, ceiling: PATIENCE * 3, ..HEDGE });
    });
    let mut client = Http1::new(several.fixture.connect());
    (0..4).for_each(|_| assert_from(&client.ask(&ask()), "a"));
    assert_from(&client.ask(&ask()), "b");
    assert_eq!(hedges(&several.fixture, "b", "won"), 1);
}

#[test]
fn a_hedge_that_fails_does_no_harm_to_the_first() {
    let limited = Script::new().rate_limited(Duration::ZERO);
    for failing in [limited, Script::new().cut(Cut::Rst), Script::new().refuse()] {
        let several = Several::configured(&[late(ok("from a")), failing], hedging);
        assert_from(&several.ask(&ask()), "a");
        assert_eq!(hedges(&several.fixture, "b", "failed"), 1);
        assert_eq!((losers(&several.fixture, "a"), losers(&several.fixture, "b")), (0, 0));
        let line = several.access_log().remove(0);
        assert_eq!((&line["attempts"], &line["failovers"]), (&2.into(), &serde_json::json!([])));
    }
}

/// Neither failure has anybody to lead on to, and the first would not lead on at all.
#[test]
fn a_first_one_that_fails_leaves_the_answer_to_the_hedge() {
    let several = Several::configured(&[Script::new().stall(), late(ok("from b"))], hedging);
    let mut client = Http1::new(several.fixture.connect());
    client.send(&ask());
    assert!(several.others[0].wait_for(|log| log.requests.len() == 1, PATIENCE), "`b` is asked");
    several.fixture.upstream.cut_all(Cut::Rst);
    assert_stood_in(several, &client.answer(&ask()), "closed");
    let limited = Script::new().rate_limited(Duration::ZERO);
    let scripts = [late(limited), late(late(ok("from b")))];
    let several = Several::configured(&scripts, hedging);
    let answer = several.ask(&ask());
    assert_stood_in(several, &answer, "rate_limited");
}

#[track_caller]
fn assert_stood_in(several: Several, answer: &Answer, reason: &str) {
    assert_from(answer, "b");
    assert_eq!(several.asked(), [1, 1]);
    assert_eq!(hedges(&several.fixture, "b", "stood_in"), 1);
    let line = several.access_log().remove(0);
    let left = serde_json::json!([{ "from": "a", "reason": reason }]);
    assert_eq!((&line["failovers"], &line["attempts"]), (&left, &2.into()), "{line}");
}

#[test]
fn where_both_fail_the_next_is_asked_as_ever_and_gets_the_whole_body() {
    let limited = Script::new().rate_limited(Duration::ZERO);
    let later = Script::new().wait(LATE / 2).rate_limited(Duration::ZERO);
    let latest = late(limited.clone());
    for scripts in [[later.clone(), latest], [later, limited]] {
        let scripts = [&scripts[..], &[Script::new().echo()]].concat();
        let several = Several::configured(&scripts, hedging);
        let pieces: Vec<_> = (0..20_u8).map(|n| Bytes::from(vec![n; 5_000])).collect();
        let answer = several.ask(&ask().body(pieces.clone(), Length::Known));
        assert_eq!(answer.header("x-firstbyte-upstream"), Some("c"));
        assert_eq!(answer.body(), pieces.concat());
        assert_eq!(several.asked(), [1, 1, 1]);
        assert_eq!(hedges(&several.fixture, "b", "failed"), 1);
        assert_eq!(several.access_log()[0]["attempts"], 3);
    }
}

#[test]
fn a_request_is_hedged_once_however_often_it_is_sent() {
    let limited = Script::new().rate_limited(Duration::ZERO);
    let (slowly, quickly) = (LATE / 2, Duration::ZERO);
    let mending = |body: &'static str, after: Duration| {
        let limited = limited.clone();
        Upstream::builder().clear().http2().respond(move |seen| {
            let then = if seen.nth == 0 { limited.clone() } else { ok(body) };
            Script { steps: [Script::new().wait(after).steps, then.steps].concat(), ..then }
        })
    };
    let members = vec![mending("from a", slowly), mending("from b", quickly)];
    let several = Several::of(members, Protocol::Http2, |config| {
        hedging(config);
        config.groups[0].retry =
            Retry { times: 1, pause: SOON / 10, budget: 100, ..Retry::default() };
    });
    assert_from(&several.ask(&ask()), "a");
    assert_eq!(several.asked(), [2, 1]);
}

#[test]
fn where_both_fail_and_nobody_is_left_the_client_gets_an_upstream_s_own_words() {
    let limited = |body: &str| Script::new().answer(429, &[], body.to_owned());
    for (first, second, words) in [
        (late(limited("from a")), limited("from b"), "from a"),
        (late(Script::new().cut(Cut::Rst)), limited("from b"), "from b"),
    ] {
        let several = Several::configured(&[first, second], hedging);
        let answer = several.ask(&ask());
        assert_eq!((answer.status, answer.body()), (429, words.into()), "{answer:?}");
        assert_eq!(several.asked(), [1, 1]);
    }
}

#[test]
fn under_slow_everything_hedges_are_bounded_by_their_budget() {
    let slow = |body| Script::new().wait(SOON).answer(200, &[], body);
    let several = Several::configured(&[slow("from a"), slow("from b")], |config| {
        let ceiling = Duration::from_millis(5);
        config.groups[0].hedge = Some(Hedge { ceiling, budget: 1, ..HEDGE });
    });
    let mut client = Http1::new(several.fixture.connect());
    for _ in 0..16 {
        assert_eq!(client.ask(&ask()).status, 200);
    }
    // Where this machine itself stood still, an answer was there before anybody could look for it.
    assert!(several.asked()[1] <= 10, "more than the reserve, and one per cent of 16");
    let spent = prevented(&several.fixture, "hedge_budget");
    let log = several.access_log();
    let told = log.iter().filter(|line| line["attempt_prevented"] == "hedge_budget").count();
    assert!(spent > 0 && told as u64 == spent, "{spent}, {told}");
}

#[test]
fn each_of_both_gets_the_whole_body_and_its_own_key() {
    // More than a stream's window: an echo begins to answer while it is being sent the rest.
    let several = Several::configured(&[Script::new().stall(), Script::new().echo()], |config| {
        // A client that stood still for so long within its body would not be hedged.
        config.groups[0].hedge = Some(Hedge { ceiling: LATE, ..HEDGE });
        config.limits.replay_bytes = 8_000_000;
    });
    let pieces: Vec<_> = (0..40_u8).map(|n| Bytes::from(vec![n; 100_000])).collect();
    for length in [Length::Known, Length::Unknown] {
        let asked = ask().header("authorization", "Bearer sk-theirs").header("x-mine", "kept");
        let answer = several.ask(&asked.body(pieces.clone(), length));
        assert_eq!(answer.header("x-firstbyte-upstream"), Some("b"));
        assert_eq!(answer.body(), pieces.concat(), "{length:?}");
    }
    for (nth, upstream) in [&several.fixture.upstream, &several.others[0]].into_iter().enumerate() {
        // The first may be overtaken while it still takes the body.
        let whole = |seen: &RequestSeen| nth == 0 || seen.body_len == 4_000_000;
        let two = |log: &Log| log.requests.len() == 2 && log.requests.iter().all(whole);
        assert!(upstream.wait_for(two, PATIENCE));
        for seen in &upstream.log().requests {
            assert_eq!(seen.header_values("authorization"), [format!("Bearer {}", key_of(nth))]);
            assert_eq!(seen.header("x-mine"), Some("kept"));
            let text = format!("{:?}", seen.headers);
            assert!(!text.contains(&key_of(1 - nth)) && !text.contains("sk-theirs"), "{text}");
        }
    }
}

#[test]
fn a_client_that_leaves_cancels_both() {
    let several = Several::configured(&[Script::new().stall(), Script::new().stall()], hedging);
    let mut client = Http1::new(several.fixture.connect());
    client.send(&ask());
    assert!(several.others[0].wait_for(|log| log.requests.len() == 1, PATIENCE), "`b` is asked");
    drop(client);
    assert!(several.fixture.upstream.wait_for_cancel(0, PATIENCE).is_some(), "`a` is told");
    assert!(several.others[0].wait_for_cancel(0, PATIENCE).is_some(), "`b` is told");
    assert_eq!(hedges(&several.fixture, "b", "abandoned"), 1);
    let line = several.access_log().remove(0);
    assert_eq!((&line["outcome"], &line["attempts"]), (&"client_gone".into(), &2.into()));
    assert_eq!(line["hedge"]["result"], "abandoned");
}

#[test]
fn a_client_s_own_time_ends_both() {
    let several = Several::configured(&[Script::new().stall(), Script::new().stall()], hedging);
    let time = LATE.as_millis().to_string();
    let answer = several.ask(&ask().header("x-firstbyte-timeout-ms", &time));
    assert_refused(&answer, 504, "client_deadline");
    assert!(several.fixture.upstream.wait_for_cancel(0, PATIENCE).is_some(), "`a` is told");
    assert!(several.others[0].wait_for_cancel(0, PATIENCE).is_some(), "`b` is told");
}

#[test]
fn nobody_who_is_out_is_asked_beside_another() {
    let slow = Upstream::builder().clear().http2().respond(|seen| {
        if seen.nth == 0 {
            late(ok("from a"))
        } else {
            Script::new().wait(SOON * 5).answer(200, &[], "from a")
        }
    });
    let broken =
        Upstream::builder().clear().http2().script(Script::new().answer(500, &[], "broken"));
    let several = Several::of(vec![slow, broken], Protocol::Http2, |config| {
        hedging(config);
        config.groups[0].failover_on = Triggers::statuses([500]);
        let health =
            HealthPolicy { consecutive_failures: 1, eject: PATIENCE, ..HealthPolicy::default() };
        config.upstreams.iter_mut().for_each(|upstream| upstream.health = health);
    });
    let mut client = Http1::new(several.fixture.connect());
    (0..4).for_each(|_| assert_from(&client.ask(&ask()), "a"));
    assert_eq!(several.asked(), [4, 1], "its failure as a hedge put it out");
    assert!(several.access_log().iter().all(|line| line["attempt_prevented"].is_null()));
}

#[test]
fn a_head_is_an_answer_unless_heads_are_held_for_their_first_frame() {
    let only_head = Script::new().stream().stall();
    let held = Several::configured(&[only_head.clone(), ok("from b")], |config| {
        hedging(config);
        config.groups[0].failover_on = Triggers::FIRST_FRAME_TIMEOUT;
    });
    assert_from(&held.ask(&ask()), "b");
    assert!(held.fixture.upstream.wait_for_cancel(0, PATIENCE).is_some(), "`a` is told");
    let only_head = Script::new().stream().wait(LATE * 3 / 2).body("from a").finish();
    let several = Several::configured(&[only_head, ok("from b")], |config| {
        config.groups[0].hedge = Some(Hedge { ceiling: LATE, ..HEDGE });
    });
    assert_from(&several.ask(&ask()), "a");
    assert_eq!(several.asked(), [1, 0]);
}

#[test]
fn a_body_beyond_what_is_kept_is_not_sent_twice_and_the_reason_is_recorded() {
    let several = Several::configured(&[late(ok("from a")), ok("from b")], |config| {
        hedging(config);
        config.limits.replay_bytes = 10_000;
    });
    let answer = several.ask(&ask().body(vec![Bytes::from(vec![7; 20_000])], Length::Known));
    assert_from(&answer, "a");
    assert_eq!((several.asked(), prevented(&several.fixture, "hedge_body")), (vec![1, 0], 1));
    assert_eq!(several.access_log()[0]["attempt_prevented"], "hedge_body");
}

#[test]
fn a_body_that_is_still_coming_is_not_sent_twice() {
    let several = Several::configured(&[Script::new().echo(), ok("from b")], |config| {
        hedging(config);
        // An echo begins at once, and is held until the first piece of the body is back.
        config.groups[0].failover_on = Triggers::FIRST_FRAME_TIMEOUT;
    });
    let asked = ask().body(vec![Bytes::new(), Bytes::from_static(b"from a")], Length::Known);
    let mut client = Http1::new(several.fixture.connect());
    client.send_head(&asked);
    several
        .fixture
        .wait_until("a hedge was wanted", |fixture| prevented(fixture, "hedge_body") == 1);
    client.send_piece(&asked, b"from a");
    assert_from(&client.answer(&asked), "a");
    assert_eq!(several.asked(), [1, 0]);
}

/// One stream at most, and somebody has it.
fn busy(config: &mut Config) {
    config.groups[0].hedge = Some(Hedge { ceiling: LATE / 2, ..HEDGE });
    let pool = &mut config.upstreams[0].pool;
    (pool.min_connections, pool.max_connections, pool.streams_per_connection) = (1, 1, 1);
    pool.queue_timeout = PATIENCE * 3;
}

fn occupied(several: &Several, asked: &Ask) -> Http1 {
    let mut client = Http1::new(several.fixture.connect());
    client.send(asked);
    assert_eq!(client.head(asked).header("x-firstbyte-upstream"), Some("a"));
    client
}

#[test]
fn who_waits_for_a_stream_of_the_first_is_late_too() {
    let several =
        Several::configured(&[Script::new().stream().stall(), Script::new().echo()], busy);
    let _first = occupied(&several, &ask());
    let pieces: Vec<_> = (0..20_u8).map(|n| Bytes::from(vec![n; 5_000])).collect();
    for length in [Length::Known, Length::Unknown] {
        let answer = several.ask(&ask().body(pieces.clone(), length));
        assert_eq!(answer.header("x-firstbyte-upstream"), Some("b"));
        assert_eq!(answer.body(), pieces.concat());
    }
    assert_eq!((several.asked(), losers(&several.fixture, "a")), (vec![1, 2], 0), "`a` never knew");
}

#[test]
fn what_was_read_ahead_in_vain_goes_up_in_order_and_trailers_after_it() {
    let once_busy = Upstream::builder().clear().http2().respond_early(|seen| {
        if seen.nth == 0 { Script::new().early().stream().stall() } else { Script::new().echo() }
    });
    let other = Upstream::builder().clear().http2().script(ok("from b"));
    let several = Several::of(vec![once_busy, other], Protocol::Http2, busy);
    // Who speaks of trailers goes on connections of their own: so does the one that is in the way.
    let trailing = || ask().header("te", "trailers");
    let first = occupied(&several, &trailing().body(vec!["{}".into()], Length::Unknown));
    let pieces: Vec<_> = (0..20_u8).map(|n| Bytes::from(vec![n; 5_000])).collect();
    let asked = trailing().body(pieces.clone(), Length::Unknown).trailer("x-sum", "7");
    let mut client = Http1::new(several.fixture.connect());
    client.send(&asked);
    several
        .fixture
        .wait_until("a hedge was wanted", |fixture| prevented(fixture, "hedge_body") == 1);
    drop(first);
    assert_eq!(client.answer(&asked).body(), pieces.concat());
    let seen = several.fixture.upstream.log().requests[1].clone();
    assert_eq!((seen.body_len, seen.trailers.len()), (100_000, 1), "{seen:?}");
    assert_eq!(several.asked(), [2, 0]);
}
