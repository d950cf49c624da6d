//! An upstream that sends its connections away: no client sees it, and no request is sent twice
//! unless the first was provably not processed.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use firstbyte::config::{self, Config};
use loadtest::client::{Mono, Pool, Protocol, Request, SendOptions, Target, Trace};
use loadtest::upstream::{Builder, Goaway, Log, Script, Seen, Upstream};
use serde_json::Value;

use crate::support::fixture::{Fixture, PATIENCE};
use crate::support::peers::raw_http1::{Answer, Client};
use crate::support::peers::raw_http2;
use crate::support::peers::raw_upstream::{Reply, frame, http2_frames, lead_to};

/// Requests over all clients.
const REQUESTS: usize = 3_000;
const CLIENTS: usize = 50;

/// The pool must not leave first: what is tested is that it is sent away.
fn never_ahead(config: &mut Config) {
    config.upstreams[0].pool.max_requests = 1_000_000;
}

/// `CLIENTS` at a time until all are answered; the failures.
fn load(fixture: &Fixture, protocol: Protocol) -> Vec<String> {
    let url = format!("http://{}", fixture.address());
    raw_http2::block_on(async {
        let target = Target::new(&url).expect("a URL").speaking(protocol);
        let pool = Pool::warm(target);
        let clients: Vec<_> = (0..CLIENTS)
            .map(|_| {
                let pool = pool.clone();
                tokio::spawn(async move {
                    let body = r#"{"model":"m","stream":true,"messages":[]}"#;
                    let request = Request::post("/v1/chat/completions", body).expect("a request");
                    let options = SendOptions { hash: true, ..SendOptions::default() };
                    let mut failures = Vec::new();
                    for _ in 0..REQUESTS / CLIENTS {
                        let mut trace = Trace::default();
                        let got = pool.send(&request, Mono::now(), &options, &mut trace).await;
                        failures.extend(got.failure.map(|failure| format!("{failure:?}")));
                    }
                    failures
                })
            })
            .collect();
        let mut failures = Vec::new();
        for client in clients {
            failures.extend(client.await.expect("no panic"));
        }
        failures
    })
}

/// What the clients saw fail, and the log.
fn under_load(upstream: Builder, protocol: Protocol) -> (Vec<String>, Vec<Value>) {
    let fixture = Fixture::configured(upstream.tokens(3), never_ahead);
    let failures = load(&fixture, protocol);
    // The pool learns when it is sent away and then leaves a little earlier by itself.
    let connections = fixture.upstream.log().connections.len();
    assert!(connections >= REQUESTS / 150, "only {connections}: nothing was tested");
    let lines = fixture.access_log();
    assert_eq!(lines.len(), REQUESTS);
    (failures, lines)
}

#[test]
fn a_graceful_goaway_every_hundred_requests_is_seen_by_no_client() {
    for protocol in [Protocol::Http1, Protocol::Http2] {
        let upstream = Upstream::builder().http2().goaway_every(100);
        let (failures, lines) = under_load(upstream, protocol);
        assert!(failures.is_empty(), "{} failed, the first: {}", failures.len(), failures[0]);
        assert!(lines.iter().all(|line| line["outcome"] == "complete"));
    }
}

/// Without warning, requests cross the GOAWAY, and some are disowned by two connections in a row
/// whose hundreds were full in the same moment. They go out again until one takes them.
#[test]
fn an_abrupt_goaway_every_hundred_requests_is_seen_by_no_client() {
    let upstream = Upstream::builder().http2().goaway_abruptly_every(100);
    let (failures, lines) = under_load(upstream, Protocol::Http2);
    assert!(failures.is_empty(), "{failures:?}");
    assert!(lines.iter().all(|line| line["outcome"] == "complete"));
    assert!(lines.iter().any(|line| line["replays"] == 1), "nobody was disowned");
}

#[test]
fn streams_under_a_goaway_go_on_to_their_end() {
    // The second request is the connection's last; the first still streams.
    let upstream = Upstream::builder().http2().goaway_abruptly_every(2).respond(|seen: &Seen| {
        let script = Script::new().stream();
        if seen.nth == 0 {
            script.tokens(50, Duration::from_millis(10)).done()
        } else {
            script.done()
        }
    });
    let fixture = Fixture::configured(upstream, |config| {
        never_ahead(config);
        config.upstreams[0].pool.min_connections = 1;
        config.upstreams[0].pool.max_connections = 1;
    });
    let mut lasting = Client::connect(&fixture);
    lasting.ask("/v1/long", b"{}");
    assert!(lasting.head().is_some());
    for path in ["/v1/last", "/v1/first-of-the-next"] {
        let mut short = Client::connect(&fixture);
        short.ask(path, b"{}");
        assert!(short.answer().expect("an answer").whole, "{path}");
    }
    assert!(lasting.wait_for("data: [DONE]\n\n\r\n0\r\n\r\n"), "the long stream ends");
    let log = fixture.upstream.log();
    let connections: Vec<_> = log.requests.iter().map(|seen| seen.connection).collect();
    assert_eq!(connections, [0, 0, 1], "a new request goes to a new connection");
    assert!(fixture.access_log().iter().all(|line| line["outcome"] == "complete"));
}

/// A first attempt that fails as `first` says, before its answer, and a second as `second` says.
fn attempts(first: Script, second: Script, body: &[u8]) -> (Answer, Log, Vec<Value>) {
    // Decided at the body's end, so that it is whole in the log.
    let upstream = Upstream::builder()
        .http2()
        .respond(move |seen: &Seen| if seen.nth == 0 { first.clone() } else { second.clone() });
    let fixture = Fixture::start(upstream);
    let mut client = Client::connect(&fixture);
    client.ask("/v1/chat/completions?a=b", body);
    let answer = client.answer().expect("an answer");
    let ended = |log: &Log| log.requests.iter().all(|request| request.end.is_some());
    assert!(fixture.upstream.wait_for(ended, PATIENCE));
    let log = fixture.upstream.log();
    (answer, log, fixture.access_log())
}

fn ok() -> Script {
    Script::new().answer(200, &[], "{\"second\":true}")
}

/// Bytes that no two places share.
fn body(len: usize) -> Vec<u8> {
    (0..=len / 8).flat_map(|n| format!("{n:08x}").into_bytes()).take(len).collect()
}

fn replayed_whole(first: &Script, reason: &str) {
    for len in [0, 1, 1_000, 200_000] {
        let body = body(len);
        let (answer, log, lines) = attempts(first.clone(), ok(), &body);
        assert_eq!((answer.status, answer.text().as_str()), (200, "{\"second\":true}"), "{len}");
        assert_eq!(log.requests.len(), 2, "{len}: exactly once more");
        let [one, two] = [&log.requests[0], &log.requests[1]];
        assert_eq!(two.body_len, len as u64);
        assert_eq!(one.body_sha256, two.body_sha256, "{len}: the same body");
        assert!(body.starts_with(&two.body), "{len}: the client's body");
        assert_eq!((&one.path, &one.headers), (&two.path, &two.headers), "{len}: the same head");
        assert_eq!(lines[0]["replays"], 1, "{reason}: {}", lines[0]);
        assert_eq!(lines[0]["outcome"], "complete");
    }
}

#[test]
fn a_request_above_the_goaways_last_stream_is_replayed_once_with_its_body() {
    replayed_whole(&Script::new().goaway(Goaway::BelowThis), "goaway");
}

#[test]
fn a_refused_request_is_replayed_once_with_its_body() {
    replayed_whole(&Script::new().reset(h2::Reason::REFUSED_STREAM.into()), "refused");
}

#[test]
fn a_body_that_was_only_begun_is_replayed_with_its_rest() {
    // Refused at the head, while the body still comes.
    let upstream = Upstream::builder().http2().respond_early(|seen: &Seen| {
        if seen.nth == 0 {
            Script::new().refuse()
        } else {
            Script::new().early().await_body().answer(200, &[], "ok")
        }
    });
    let fixture = Fixture::start(upstream);
    let body = body(200_000);
    let answer = raw_http2::block_on(async {
        let client = raw_http2::Client::connect(fixture.address()).await;
        let (answer, mut upload) = client.begin("/v1/x", &body[..10_000]).await;
        let refused = |log: &Log| log.requests.len() == 2;
        assert!(fixture.upstream.seen(refused, PATIENCE).await, "it is sent again");
        upload.send_data(body[10_000..].to_vec().into(), true).expect("the stream is open");
        raw_http2::read(answer.await.expect("a head")).await
    });
    assert_eq!((answer.status, answer.cut), (200, None));
    let log = fixture.upstream.log();
    assert_eq!(log.requests.len(), 2);
    assert_eq!(log.requests[1].body_len, 200_000);
    assert!(body.starts_with(&log.requests[1].body));
}

/// The window of a stream unless told otherwise (RFC 9113, section 6.9.2).
const WINDOW: usize = 65_535;

/// The window is full, and a part of the body that was taken from the client stands before it, when
/// the upstream refuses: that part must be sent again, and once.
#[test]
fn a_body_that_stood_before_a_full_window_is_replayed_without_a_gap_or_an_echo() {
    let received = Arc::new(Mutex::new(Vec::new()));
    let second = Arc::clone(&received);
    let refused = Arc::new(AtomicBool::new(false));
    let mut taken = 0;
    let upstream = http2_frames(&frame(4, 0, 0, b""), move |kind, flags, stream, payload| {
        let more = |stream| frame(8, 0, stream, &(payload.len() as u32).to_be_bytes());
        let bytes = match (kind, flags & 1) {
            (4, 0) => frame(4, 1, 0, b""),
            (6, 0) => frame(6, 1, 0, payload),
            (0, _) if !refused.load(Ordering::Relaxed) => {
                taken += payload.len();
                if taken == WINDOW {
                    refused.store(true, Ordering::Relaxed);
                    let refused = u32::from(h2::Reason::REFUSED_STREAM).to_be_bytes();
                    let window = u32::try_from(WINDOW).expect("a window").to_be_bytes();
                    // The connection's window is not the stream's to keep.
                    [frame(3, 0, stream, &refused), frame(8, 0, 0, &window)].concat()
                } else {
                    Vec::new()
                }
            }
            (0, end) => {
                second.lock().expect("no panic").extend_from_slice(payload);
                let window =
                    if payload.is_empty() { Vec::new() } else { [more(0), more(stream)].concat() };
                let answer = if end == 1 { frame(1, 5, stream, &[0x88]) } else { Vec::new() };
                [window, answer].concat()
            }
            _ => Vec::new(),
        };
        Reply { bytes, close: false }
    });
    let fixture = Fixture::configured(Upstream::builder().clear(), |config| {
        lead_to(config, upstream, config::Protocol::Http2);
    });
    let body = body(200_000);
    let mut client = Client::connect(&fixture);
    client.ask("/v1/x", &body);
    assert_eq!(client.answer().expect("an answer").status, 200);
    assert!(*received.lock().expect("no panic") == body, "the body came as it was");
    assert_eq!(fixture.access_log()[0]["replays"], 1);
}

#[test]
fn a_second_refusal_is_told_as_bad_gateway() {
    let refuse = Script::new().reset(h2::Reason::REFUSED_STREAM.into());
    let (answer, log, lines) = attempts(refuse.clone(), refuse, b"{}");
    assert_eq!(answer.status, 502);
    assert!(answer.text().contains("\"upstream_reset\""), "{}", answer.text());
    assert_eq!(log.requests.len(), 2, "never a third time");
    assert_eq!((&lines[0]["replays"], &lines[0]["error"]), (&1.into(), &"upstream_reset".into()));
}

#[test]
fn what_may_have_been_processed_is_never_sent_again() {
    let stream = || Script::new().stream().body("data: 1\n\n").wait(Duration::from_millis(20));
    let refused = h2::Reason::REFUSED_STREAM.into();
    let cases: HashMap<&str, (Script, u16)> = [
        // Before the head: the upstream had it, and nothing says what it did with it.
        ("reset", (Script::new().reset(h2::Reason::INTERNAL_ERROR.into()), 502)),
        ("cancel", (Script::new().reset(h2::Reason::CANCEL.into()), 502)),
        ("no error", (Script::new().reset(h2::Reason::NO_ERROR.into()), 502)),
        ("fin", (Script::new().cut(loadtest::upstream::Cut::Fin), 502)),
        ("rst", (Script::new().cut(loadtest::upstream::Cut::Rst), 502)),
        (
            "goaway, then fin",
            (Script::new().goaway(Goaway::AfterThis).cut(loadtest::upstream::Cut::Fin), 502),
        ),
        // After the head: part of the answer is the client's already.
        ("late refusal", (stream().reset(refused), 200)),
        (
            "late goaway",
            (stream().goaway(Goaway::BelowThis).cut(loadtest::upstream::Cut::Fin), 200),
        ),
        (
            "early head, refusal",
            (Script::new().early().stream().wait(Duration::from_millis(20)).reset(refused), 200),
        ),
    ]
    .into();
    for (name, (first, status)) in cases {
        let (answer, log, lines) = attempts(first, ok(), &body(200_000));
        assert_eq!(answer.status, status, "{name}");
        assert_eq!(answer.whole, status == 502, "{name}");
        assert_eq!(log.requests.len(), 1, "{name} is not sent again");
        assert_eq!(lines[0]["replays"], 0, "{name}");
        assert_eq!(lines[0]["outcome"], "upstream_failed", "{name}");
    }
}
