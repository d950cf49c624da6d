//! A request's body that comes slowly: how slowly it may, and whose time it is.

use std::io::Write;
use std::time::{Duration, Instant};

use firstbyte::config::{Config, Protocol};
use loadtest::upstream::{Script, Upstream};
use serde_json::Value;

use crate::support::fixture::{Fixture, PATIENCE};
use crate::support::peers::raw_http1::Client;
use crate::support::peers::raw_http2;
use crate::support::peers::raw_upstream::{Reply, frame, http2_frames, lead_to};

/// The silence that is allowed: long beside what a busy machine adds to a step of `ALIVE`.
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

/// Enough for a piece of [`TIMES`] to count, and less than a trickle of single bytes brings.
const RATE: u64 = 500;

fn rate_due(config: &mut Config) {
    config.client.body_rate = RATE;
    config.client.body_idle = SHORT;
}

#[test]
fn a_request_body_that_trickles_for_ever_is_408_and_the_upstream_told() {
    for upstream in [Upstream::builder().http2(), Upstream::builder().clear().http1()] {
        let script = Script::new().early().await_body().answer(200, &[], "{}");
        let fixture = Fixture::configured(upstream.script(script), rate_due);
        let mut client = Client::connect(&fixture);
        write!(client.stream, "POST /v1/x HTTP/1.1\r\nhost: p\r\ncontent-length: 9000\r\n\r\n")
            .expect("the proxy reads");
        trickle(|| client.stream.write_all(b"x").is_ok());
        let answer = client.answer().expect("an answer");
        let told: Value = serde_json::from_slice(&answer.body).expect("JSON");
        assert_eq!((answer.status, &told["error"]["code"]), (408, &"body_slow".into()));
        let status = raw_http2::block_on(async {
            let client = raw_http2::Client::connect(fixture.address()).await;
            let (answer, mut upload) = client.begin("/v1/x", b"x").await;
            let mut answer = std::pin::pin!(answer);
            let begun = Instant::now();
            loop {
                assert!(begun.elapsed() < PATIENCE, "it goes on for ever");
                let came = tokio::time::timeout(ALIVE / 4, answer.as_mut()).await;
                if let Ok(answer) = came {
                    break answer.expect("a head").status();
                }
                upload.send_data("x".into(), false).expect("the stream is open");
            }
        });
        assert_eq!(status, 408);
        for nth in 0..2 {
            assert!(fixture.upstream.wait_for_cancel(nth, PATIENCE).is_some());
        }
        for line in fixture.access_log() {
            let ended = (&line["outcome"], &line["error"]);
            assert_eq!(ended, (&"timed_out".into(), &"body_slow".into()), "{line}");
        }
    }
}

/// Sends byte after byte until that fails, or has to.
fn trickle(mut send: impl FnMut() -> bool) {
    let begun = Instant::now();
    while begun.elapsed() < SHORT * 3 && send() {
        pause(ALIVE / 4);
    }
}

#[test]
fn a_request_body_that_pauses_and_keeps_its_average_is_served() {
    let fixture = Fixture::configured(Upstream::builder().script(ok()), rate_due);
    let mut client = Client::connect(&fixture);
    let piece = [b'x'; RATE as usize];
    let all = piece.len() * TIMES as usize;
    write!(client.stream, "POST /v1/x HTTP/1.1\r\nhost: p\r\ncontent-length: {all}\r\n\r\n")
        .expect("the proxy reads");
    for _ in 0..TIMES {
        pause(ALIVE * 2);
        client.stream.write_all(&piece).expect("the proxy reads");
    }
    assert_eq!(client.answer().expect("an answer").status, 200);
}

#[test]
fn without_a_least_rate_a_body_may_trickle() {
    let fixture = Fixture::configured(Upstream::builder().script(ok()), |config| {
        rate_due(config);
        config.client.body_rate = 0;
    });
    let mut client = Client::connect(&fixture);
    write!(client.stream, "POST /v1/x HTTP/1.1\r\nhost: p\r\ncontent-length: {TIMES}\r\n\r\n")
        .expect("the proxy reads");
    for _ in 0..TIMES {
        pause(ALIVE);
        client.stream.write_all(b"x").expect("the proxy reads");
    }
    assert_eq!(client.answer().expect("an answer").status, 200);
}

/// An answer that came before the body's end: its sender may go on, and pause. Over HTTP/2 the stream is not reset
/// under it, and over HTTP/1.1 the connection not closed, before it has been silent for seconds.
#[test]
fn who_stops_sending_under_an_answer_is_waited_for_some_seconds() {
    let fixture = Fixture::configured(Upstream::builder().script(ok()), rate_due);
    let mut client = Client::connect(&fixture);
    let begun = Instant::now();
    write!(client.stream, "POST /nowhere HTTP/1.1\r\nhost: p\r\ncontent-length: 9\r\n\r\nx")
        .expect("the proxy reads");
    assert_eq!(client.answer().expect("an answer").status, 404);
    let reason = raw_http2::block_on(async {
        let client = raw_http2::Client::connect(fixture.address()).await;
        let (answer, mut upload) = client.begin("/nowhere", b"x").await;
        let answer = raw_http2::read(answer.await.expect("a head")).await;
        assert_eq!((answer.status, answer.cut), (404, None));
        std::future::poll_fn(|cx| upload.poll_reset(cx)).await.expect("a reset")
    });
    assert_eq!(reason, h2::Reason::NO_ERROR);
    assert!(client.is_closed());
    assert!(begun.elapsed() > Duration::from_secs(4), "{:?}", begun.elapsed());
}

/// Eight bodies that their upstreams do not take fill all that the client may send on its connection: their
/// own windows together are twice the connection's. The ninth can send nothing, and that is not its fault.
#[test]
fn a_body_that_may_not_be_sent_for_others_on_its_connection_is_not_late() {
    // It never opens a window, and answers a body that ends.
    let address = http2_frames(&frame(4, 0, 0, b""), |kind, flags, stream, payload| {
        let bytes = match (kind, flags & 1) {
            (4, 0) => frame(4, 1, 0, b""),
            (6, 0) => frame(6, 1, 0, payload),
            (0, 1) => frame(1, 5, stream, &[0x88]),
            _ => Vec::new(),
        };
        Reply { bytes, close: false }
    });
    let fixture = Fixture::configured(Upstream::builder().clear(), |config| {
        rate_due(config);
        lead_to(config, address, Protocol::Http2);
        config.upstreams[0].pool.streams_per_connection = 1; // so that none waits for another there
    });
    raw_http2::block_on(async {
        let client = raw_http2::Client::connect(fixture.address()).await;
        let mut stuck = Vec::new();
        for _ in 0..8 {
            stuck.push(client.send("/v1/stuck", &vec![b'x'; 1 << 20]).await);
        }
        tokio::time::sleep(ALIVE).await; // so that they take all that there is of the window
        let mut late = std::pin::pin!(client.send("/v1/x", &[b'x'; 1 << 10]).await);
        let early = tokio::time::timeout(SHORT * 2, late.as_mut()).await;
        assert!(early.is_err(), "its body was not held up, or it was refused for that: {early:?}");
        drop(stuck);
        assert_eq!(late.await.expect("a head").status(), 200);
    });
}
