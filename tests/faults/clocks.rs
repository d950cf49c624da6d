//! Three clocks, each with its own words: until the head, until the first frame, between frames. And a
//! fourth, which is the client's.

use std::time::Duration;

use firstbyte::config::{Config, Route, Triggers};
use loadtest::upstream::{Cut, Log, Script, Upstream};

use crate::support::fixture::{Fixture, PATIENCE};
use crate::support::group::{Several, ask, ok};
use crate::support::peers::http1_client::Http1;
use crate::support::peers::raw_http1::Client;
use crate::support::refusal::assert_refused;

/// The clock under test, and one that must not run out meanwhile.
const SHORT: Duration = Duration::from_millis(400);
const LONG: Duration = Duration::from_secs(60);

fn timeouts(fixture: &Fixture, upstream: &str, clock: &str) -> u64 {
    let labels = format!(r#"{{upstream="{upstream}",clock="{clock}"}}"#);
    fixture.count(&format!("firstbyte_timeouts_total{labels}"))
}

/// The answer began and was cut for `code`.
#[track_caller]
fn assert_cut(fixture: Fixture, code: &str, clock: &str) {
    let mut client = Client::connect(&fixture);
    client.ask("/v1/x", b"{}");
    let answer = client.answer().expect("a head");
    assert!(answer.status == 200 && !answer.whole, "{answer:?}");
    assert!(fixture.upstream.wait_for_cancel(0, PATIENCE).is_some(), "the upstream is told");
    assert_eq!(timeouts(&fixture, "openai", clock), 1);
    let log = fixture.access_log();
    assert_eq!((&log[0]["outcome"], &log[0]["error"]), (&"timed_out".into(), &code.into()));
}

#[test]
fn a_head_that_nothing_follows_is_not_a_gap() {
    let upstream = Upstream::builder().http2().script(Script::new().stream().stall());
    let fixture = Fixture::configured(upstream, |config| {
        let clocks = &mut config.upstreams[0].deadlines;
        (clocks.first_frame, clocks.frame_gap) = (SHORT, LONG);
    });
    assert_cut(fixture, "first_frame_timeout", "first_frame");
}

#[test]
fn after_the_first_frame_its_clock_is_over() {
    let script = Script::new().stream().body("data: 1\n\n").stall();
    let fixture = Fixture::configured(Upstream::builder().http2().script(script), |config| {
        let clocks = &mut config.upstreams[0].deadlines;
        (clocks.first_frame, clocks.frame_gap) = (SHORT / 4, SHORT);
    });
    assert_cut(fixture, "gap_timeout", "frame_gap");
}

#[test]
fn a_route_s_own_clocks_stand_in_place_of_its_upstream_s() {
    let upstream = Upstream::builder().script(Script::new().stream_after(SHORT * 2).done());
    let fixture = Fixture::configured(upstream, |config| {
        config.upstreams[0].deadlines.response_head = SHORT;
        let mut patient = Route::new("/patient", config.routes[0].target);
        patient.deadlines.response_head = Some(LONG);
        config.routes.push(patient);
    });
    let mut client = Http1::new(fixture.connect());
    let mut asked = ask();
    assert_refused(&client.ask(&asked), 504, "head_timeout");
    "/patient/chat/completions".clone_into(&mut asked.target);
    assert_eq!(client.ask(&asked).status, 200);
    assert_eq!(timeouts(&fixture, "openai", "response_head"), 1);
}

/// Whose first frame does not come is left while its head is held.
fn held(more: Triggers) -> impl FnOnce(&mut Config) {
    |config| {
        config.upstreams[0].deadlines.first_frame = SHORT;
        config.groups[0].failover_on = Triggers::FIRST_FRAME_TIMEOUT.and(more);
    }
}

#[test]
fn a_held_head_that_nothing_follows_leads_to_the_next_upstream() {
    let silent = Script::new().stream().stall();
    let several = Several::configured(&[silent, ok("from b")], held(Triggers::default()));
    let answer = several.ask(&ask());
    assert_eq!((answer.status, &*answer.body()), (200, &b"from b"[..]));
    assert_eq!(timeouts(&several.fixture, "a", "first_frame"), 1);
    let series = r#"firstbyte_failovers_total{from="a",to="b",reason="first_frame_timeout"}"#;
    assert_eq!(several.fixture.count(series), 1);
    assert!(several.fixture.upstream.wait_for_cancel(0, PATIENCE).is_some(), "`a` is told");
}

#[test]
fn a_held_head_that_is_cut_leads_on_only_if_the_operator_says_so() {
    let scripts = [Script::new().stream().cut(Cut::Fin), ok("from b")];
    let several = Several::configured(&scripts, held(Triggers::CLOSED));
    assert_eq!(several.ask(&ask()).body(), b"from b");
    let several = Several::configured(&scripts, held(Triggers::default()));
    assert_refused(&several.ask(&ask()), 502, "upstream_cut");
    assert_eq!(several.asked(), [1, 0]);
}

#[test]
fn what_was_held_comes_whole_and_an_answer_without_a_body_is_not_waited_for() {
    let slow = Script::new().stream().wait(SHORT / 2).body("data: 1\n\n").wait(SHORT * 2);
    let scripts = [slow.body("data: 2\n\n").finish(), ok("from b")];
    let several = Several::configured(&scripts, held(Triggers::default()));
    assert_eq!(several.ask(&ask()).body(), b"data: 1\n\ndata: 2\n\n");
    let empty = Script::new().head(204, &[]).finish();
    let several = Several::configured(&[empty, ok("from b")], held(Triggers::default()));
    assert_eq!(several.ask(&ask()).status, 204);
    assert_eq!(several.asked(), [1, 0]);
}

fn within(time: Duration) -> crate::support::message::Ask {
    ask().header("x-firstbyte-timeout-ms", &time.as_millis().to_string())
}

#[test]
fn a_client_that_gives_itself_a_time_is_told_when_it_is_over_and_nobody_else_is_asked() {
    let several = Several::scripted(&[Script::new().stall(), ok("from b")]);
    assert_refused(&several.ask(&within(SHORT)), 504, "client_deadline");
    let seen = several.fixture.upstream.wait_for_cancel(0, PATIENCE).expect("`a` is told");
    assert_eq!(seen.header("x-firstbyte-timeout-ms"), None, "it goes no further");
    assert_eq!(several.asked(), [1, 0]);
    assert_eq!(timeouts(&several.fixture, "a", "client"), 1);
}

#[test]
fn a_client_s_time_is_over_in_mid_answer_too() {
    let endless = Script::new().stream().tokens(10_000, Duration::from_millis(20));
    let fixture = Fixture::start(Upstream::builder().http2().script(endless));
    let mut client = Http1::new(fixture.connect());
    client.send(&within(SHORT));
    assert_eq!(client.head(&ask()).status, 200);
    assert!(fixture.upstream.wait_for_cancel(0, PATIENCE).is_some(), "the upstream is told");
    fixture.upstream.wait_for(|log: &Log| log.open_requests() == 0, PATIENCE);
    assert_eq!(timeouts(&fixture, "openai", "client"), 1);
    drop(client);
    let log = fixture.access_log();
    assert_eq!(
        (&log[0]["outcome"], &log[0]["error"]),
        (&"timed_out".into(), &"client_deadline".into())
    );
}

#[test]
fn a_client_s_time_that_suffices_changes_nothing_and_one_that_is_no_number_is_refused() {
    let fixture = Fixture::start(Upstream::builder().script(ok("fine")));
    let mut client = Http1::new(fixture.connect());
    assert_eq!(client.ask(&within(LONG)).body(), b"fine");
    let odd = ask().header("x-firstbyte-timeout-ms", "30s");
    assert_refused(&client.ask(&odd), 400, "bad_request");
    assert_eq!(fixture.upstream.requests(), 1);
}
