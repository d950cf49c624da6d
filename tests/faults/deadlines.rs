//! Every deadline: what its end looks like from outside and in the log, and that whoever is slow
//! but within it is served.

use std::io::Write;
use std::net::Shutdown;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use firstbyte::config::{Config, Protocol};
use loadtest::upstream::{Log, Script, Upstream};
use serde_json::Value;

use crate::support::fixture::{Fixture, PATIENCE};
use crate::support::message::Ask;
use crate::support::peers::http1_client::Http1;
use crate::support::peers::raw_http1::{Answer, Client};
use crate::support::peers::raw_http2;
use crate::support::peers::raw_upstream::{Reply, frame, http2_frames, lead_to};
use crate::support::refusal::assert_refused;

/// The deadline under test: long beside what a busy machine adds to a step of `ALIVE`.
const SHORT: Duration = Duration::from_millis(800);

/// How often somebody slow shows life.
const ALIVE: Duration = Duration::from_millis(200);

/// So often that it takes longer than `SHORT` as a whole.
const TIMES: u32 = 6;

/// Waits without doing anything: here the passing of time is what is tested.
fn pause(time: Duration) {
    let until = Instant::now() + time;
    while let Some(left) = until.checked_duration_since(Instant::now()) {
        std::thread::park_timeout(left);
    }
}

fn ok() -> Script {
    Script::new().answer(200, &[], "{}")
}

/// The one line of the log.
fn only_line(fixture: Fixture) -> Value {
    let mut lines = fixture.access_log();
    assert_eq!(lines.len(), 1, "{lines:?}");
    lines.remove(0)
}

fn assert_told(answer: &Answer, status: u16, code: &str) {
    assert_eq!(answer.status, status, "{}", answer.text());
    assert!(answer.whole, "our own answer is whole");
    let body: Value = serde_json::from_slice(&answer.body).expect("JSON");
    assert_eq!(body["error"]["code"], code);
}

fn assert_recorded(line: &Value, outcome: &str, code: &str) {
    assert_eq!((&line["outcome"], &line["error"]), (&outcome.into(), &code.into()), "{line}");
}

#[test]
fn an_upstream_that_never_finishes_its_handshake_is_a_connect_timeout() {
    let fixture = Fixture::unready(Upstream::builder().silent_handshake(), |config| {
        config.upstreams[0].deadlines.connect = SHORT;
    });
    let mut client = Client::connect(&fixture);
    client.ask("/v1/x", b"{}");
    assert_told(&client.answer().expect("an answer"), 504, "connect_timeout");
    assert_recorded(&only_line(fixture), "timed_out", "connect_timeout");
}

fn head_due(config: &mut Config) {
    config.upstreams[0].deadlines.response_head = SHORT;
}

#[test]
fn a_head_that_does_not_come_is_a_head_timeout_and_the_upstream_is_told() {
    for upstream in [Upstream::builder().http2(), Upstream::builder().clear().http1()] {
        let fixture = Fixture::configured(upstream.script(Script::new().stall()), head_due);
        let mut client = Client::connect(&fixture);
        client.ask("/v1/x", b"{}");
        assert_told(&client.answer().expect("an answer"), 504, "head_timeout");
        assert!(fixture.upstream.wait_for_cancel(0, PATIENCE).is_some());
        assert_recorded(&only_line(fixture), "timed_out", "head_timeout");
    }
}

#[test]
fn a_head_is_due_only_from_the_last_progress_of_the_body() {
    let fixture = Fixture::configured(Upstream::builder().script(ok()), head_due);
    let mut client = Client::connect(&fixture);
    write!(client.stream, "POST /v1/x HTTP/1.1\r\nhost: p\r\ncontent-length: {TIMES}\r\n\r\n")
        .expect("the proxy reads");
    for _ in 0..TIMES {
        pause(ALIVE);
        client.stream.write_all(b"x").expect("the proxy reads");
    }
    assert_eq!(client.answer().expect("an answer").status, 200);
}

fn gap_due(config: &mut Config) {
    config.upstreams[0].deadlines.frame_gap = SHORT;
}

#[test]
fn an_upstream_that_falls_silent_is_a_gap_timeout_after_all_that_it_sent() {
    for upstream in [Upstream::builder().http2(), Upstream::builder().clear().http1()] {
        // Slow first, for longer than the deadline as a whole; then silent.
        let script = (0..TIMES)
            .fold(Script::new().stream(), |script, _| script.wait(ALIVE).body("data: x\n\n"));
        let fixture = Fixture::configured(upstream.script(script.stall()), gap_due);
        let all = "data: x\n\n".repeat(TIMES as usize);
        let mut client = Client::connect(&fixture);
        client.ask("/v1/x", b"{}");
        let answer = client.answer().expect("a head");
        assert_eq!((answer.status, answer.text(), answer.whole), (200, all.clone(), false));
        assert!(fixture.upstream.wait_for_cancel(0, PATIENCE).is_some());
        let answer = raw_http2::block_on(async {
            let client = raw_http2::Client::connect(fixture.address()).await;
            client.ask("/v1/x", b"{}").await.expect("a head")
        });
        assert_eq!(String::from_utf8_lossy(&answer.body), all);
        assert!(answer.cut.is_some());
        assert!(fixture.upstream.wait_for_cancel(1, PATIENCE).is_some());
        for line in fixture.access_log() {
            assert_recorded(&line, "timed_out", "gap_timeout");
        }
    }
}

fn client_head_due(config: &mut Config) {
    config.client.head = SHORT;
}

#[test]
fn a_request_head_that_stops_arriving_is_answered_408() {
    let fixture = Fixture::configured(Upstream::builder().script(ok()), client_head_due);
    for begun in ["P", "POST /v1/x HTT", "POST /v1/x HTTP/1.1\r\nhost: p\r\n"] {
        let mut client = Client::connect(&fixture);
        client.stream.write_all(begun.as_bytes()).expect("the proxy reads");
        let answer = client.answer();
        if begun.len() > 1 {
            assert_told(&answer.expect("an answer"), 408, "head_slow");
        }
        assert!(client.is_closed(), "{begun}");
    }
    // Nor on a connection that was good once.
    let mut client = Client::connect(&fixture);
    client.ask("/v1/x", b"{}");
    assert_eq!(client.answer().expect("an answer").status, 200);
    client.stream.write_all(b"POST /v1/x HT").expect("the proxy reads");
    assert_told(&client.answer().expect("an answer"), 408, "head_slow");
    assert!(client.is_closed());
    let lines = fixture.access_log();
    let slow = lines.iter().filter(|line| line["error"] == "head_slow");
    assert_eq!(slow.inspect(|line| assert_recorded(line, "timed_out", "head_slow")).count(), 3);
}

#[test]
fn a_client_that_says_nothing_is_closed_without_a_word() {
    let fixture = Fixture::configured(Upstream::builder().script(ok()), client_head_due);
    assert!(Client::connect(&fixture).is_closed());
}

#[test]
fn a_request_head_in_pieces_is_served_within_its_deadline() {
    let fixture = Fixture::configured(Upstream::builder().script(ok()), client_head_due);
    let mut client = Client::connect(&fixture);
    for piece in ["GET /v1/", "x HTTP/1.1\r\nhost", ": p\r\n\r\n"] {
        client.stream.write_all(piece.as_bytes()).expect("the proxy reads");
        pause(ALIVE / 2);
    }
    assert_eq!(client.answer().expect("an answer").status, 200);
}

fn body_due(config: &mut Config) {
    config.client.body_idle = SHORT;
}

#[test]
fn a_request_body_that_stops_arriving_is_answered_408_and_the_upstream_told() {
    for upstream in [Upstream::builder().http2(), Upstream::builder().clear().http1()] {
        let fixture = Fixture::configured(
            upstream.script(Script::new().early().await_body().answer(200, &[], "{}")),
            body_due,
        );
        let begun =
            ["content-length: 9\r\n\r\nabc", "transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n"];
        for begun in begun {
            let mut client = Client::connect(&fixture);
            write!(client.stream, "POST /v1/x HTTP/1.1\r\nhost: p\r\n{begun}")
                .expect("the proxy reads");
            assert_told(&client.answer().expect("an answer"), 408, "body_idle");
            assert!(client.is_closed(), "what else comes cannot be told apart from the body");
        }
        let answer = raw_http2::block_on(async {
            let client = raw_http2::Client::connect(fixture.address()).await;
            let (answer, _upload) = client.begin("/v1/x", b"abc").await;
            raw_http2::read(answer.await.expect("a head")).await
        });
        assert_eq!(answer.status, 408);
        for nth in 0..3 {
            assert!(fixture.upstream.wait_for_cancel(nth, PATIENCE).is_some());
        }
        for line in fixture.access_log() {
            assert_recorded(&line, "timed_out", "body_idle");
        }
    }
}

#[test]
fn a_client_whose_body_the_upstream_does_not_take_is_not_at_fault() {
    let late = Script::new().unread_body().wait(SHORT * 2).answer(200, &[], "{}");
    let fixture = Fixture::configured(Upstream::builder().http2().script(late), body_due);
    let mut client = Client::connect(&fixture);
    let body = vec![b'x'; 16 * 1024 * 1024];
    let mut sending = client.stream.try_clone().expect("a second handle");
    let sender = std::thread::spawn(move || {
        let head =
            format!("POST /v1/x HTTP/1.1\r\nhost: p\r\ncontent-length: {}\r\n\r\n", body.len());
        // Cut short once the answer is there.
        let _cut = sending.write_all(head.as_bytes()).and_then(|()| sending.write_all(&body));
    });
    assert_eq!(client.answer().expect("an answer").status, 200);
    drop(client.stream.shutdown(Shutdown::Both)); // unless the proxy was first
    sender.join().expect("no panic");
}

fn idle_due(config: &mut Config) {
    config.client.idle = SHORT;
}

#[test]
fn a_kept_connection_that_asks_nothing_is_closed_without_a_word() {
    let fixture = Fixture::configured(Upstream::builder().script(ok()), idle_due);
    let mut client = Client::connect(&fixture);
    client.ask("/v1/x", b"{}");
    assert_eq!(client.answer().expect("an answer").status, 200);
    assert!(client.is_closed());
}

#[test]
fn a_kept_connection_that_asks_or_streams_is_not_idle() {
    let long = (0..TIMES).fold(Script::new().stream(), |script, _| script.wait(ALIVE).body("x"));
    let upstream = Upstream::builder()
        .respond(move |seen| if seen.path == "/v1/long" { long.clone().finish() } else { ok() });
    let fixture = Fixture::configured(upstream, idle_due);
    let mut client = Client::connect(&fixture);
    for _ in 0..TIMES {
        client.ask("/v1/x", b"{}");
        assert_eq!(client.answer().expect("the connection is open").status, 200);
        pause(ALIVE);
    }
    client.ask("/v1/long", b"{}");
    assert!(client.answer().expect("the connection is open").whole);
    client.ask("/v1/x", b"{}");
    assert_eq!(client.answer().expect("the connection is open").status, 200);
}

#[test]
fn a_drain_lets_streams_finish_and_cuts_what_is_left_at_its_deadline() {
    let upstream = Upstream::builder().respond(|seen| {
        let begun = Script::new().stream().body("data: x\n\n");
        if seen.path == "/v1/long" {
            begun.stall()
        } else {
            begun.wait(SHORT / 4).step(loadtest::upstream::Step::Done).finish()
        }
    });
    let fixture = Fixture::configured(upstream, |config| config.client.drain = SHORT * 2);
    let (mut short, mut long) = (Client::connect(&fixture), Client::connect(&fixture));
    let mut idle = Client::connect(&fixture);
    idle.ask("/v1/short", b"{}");
    assert!(idle.answer().expect("an answer").whole);
    long.ask("/v1/long", b"{}");
    assert!(long.wait_for("data: x"));
    short.ask("/v1/short", b"{}");
    assert!(short.wait_for("data: x"));
    fixture.proxy.drain();
    assert!(idle.is_closed(), "nothing is asked on it");
    assert!(short.answer().expect("an answer").whole, "it finishes within the deadline");
    assert!(short.is_closed(), "and its connection with it");
    let cut = long.answer().expect("a head");
    assert!(!cut.whole, "what is left is cut");
    assert!(fixture.upstream.wait_for(|log: &Log| log.open_requests() == 0, PATIENCE));
    for line in fixture.access_log() {
        if line["path"] == "/v1/long" {
            assert_recorded(&line, "timed_out", "draining");
        } else {
            assert_eq!(line["outcome"], "complete", "{line}");
        }
    }
}

/// It takes the head and no byte of the body (RFC 9113, section 6.9.2): a request without a body goes by on the
/// same connection, and the one that waits ends at its deadline.
#[test]
fn an_upstream_that_never_opens_its_window_is_a_head_timeout_and_holds_up_nobody() {
    let closed = frame(4, 0, 0, &[0, 4, 0, 0, 0, 0]); // SETTINGS_INITIAL_WINDOW_SIZE of 0
    let resets = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&resets);
    let upstream = http2_frames(&closed, move |kind, flags, stream, payload| {
        let bytes = match (kind, flags & 1) {
            (4, 0) => frame(4, 1, 0, b""),
            (6, 0) => frame(6, 1, 0, payload),
            (1, 1) => frame(1, 5, stream, &[0x88]),
            (3, _) => {
                seen.fetch_add(1, Ordering::Relaxed);
                Vec::new()
            }
            _ => Vec::new(),
        };
        Reply { bytes, close: false }
    });
    let fixture = Fixture::configured(Upstream::builder().clear(), |config| {
        lead_to(config, upstream, Protocol::Http2);
        config.upstreams[0].pool.min_connections = 1;
        config.upstreams[0].pool.max_connections = 1;
        config.upstreams[0].deadlines.response_head = Duration::from_secs(1);
    });
    let mut waits = Http1::new(fixture.connect());
    let upload = Ask::post("/v1/files", vec![b'x'; 256 * 1024]);
    waits.send(&upload);
    for _ in 0..20 {
        assert_eq!(Http1::new(fixture.connect()).ask(&Ask::get("/v1/models")).status, 200);
    }
    assert_refused(&waits.answer(&upload), 504, "head_timeout");
    fixture.wait_until("its stream is reset", |_| resets.load(Ordering::Relaxed) == 1);
}
