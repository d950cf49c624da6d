//! When bytes leave. Each test makes one side wait for what the other side must have received, so
//! that holding something back is a standstill and not a matter of milliseconds.

use std::time::Duration;

use bytes::Bytes;
use loadtest::upstream::Script;

use crate::support::message::{Ask, Length};
use crate::support::pairing::{ORIGINS, Origin, every_pairing, upstream};
use crate::support::peers::http1_client::Http1;
use crate::support::peers::http2_client::Http2;

#[test]
fn the_head_comes_down_while_the_upstream_still_waits_for_the_body() {
    every_pairing(
        || {
            upstream().respond_early(|_| {
                let script = Script::new().early().stream().await_body();
                script.body("data: 1\n\n").finish()
            })
        },
        |_, client, _| {
            let ask = Ask::post("/v1/chat/completions", "").body(Vec::new(), Length::Unknown);
            let mut exchange = client.begin(&ask);
            exchange.send(&Bytes::from_static(b"{"));
            let mut answer = exchange.head();
            assert_eq!(answer.status, 200);
            exchange.send(&Bytes::from_static(b"}"));
            exchange.end();
            assert_eq!(exchange.bytes(&mut answer, 9), b"data: 1\n\n");
            assert_eq!(exchange.piece(&mut answer), None);
        },
    );
}

#[test]
fn the_head_comes_down_before_a_body_that_never_begins() {
    every_pairing(
        || upstream().script(Script::new().stream().stall()),
        |_, client, _| {
            let ask = Ask::post("/v1/chat/completions", "{}");
            let mut exchange = client.begin(&ask);
            exchange.send(&ask.pieces[0]);
            exchange.end();
            assert_eq!(exchange.head().status, 200);
        },
    );
}

#[test]
fn the_requests_head_goes_up_before_its_body() {
    every_pairing(
        || upstream().respond_early(|_| Script::new().early().stream().await_body().body("x")),
        |fixture, client, _| {
            let before = fixture.upstream.requests();
            let ask = Ask::post("/v1/files", "").body(Vec::new(), Length::Unknown);
            let mut exchange = client.begin(&ask);
            assert_eq!(exchange.head().status, 200, "the upstream answers the head");
            assert_eq!(fixture.upstream.requests(), before + 1);
        },
    );
}

/// The upstream's next frame comes only after the client has sent what follows from this one.
#[test]
fn nothing_is_held_back_for_a_next_frame_in_either_direction() {
    every_pairing(
        || upstream().respond_early(|_| Script::new().echo()),
        |_, client, _| {
            let ask = Ask::post("/v1/files", "").body(Vec::new(), Length::Unknown);
            let mut exchange = client.begin(&ask);
            let mut answer = exchange.head();
            for size in [1, 20, 200, 2000, 9000, 20_000, 3, 70_000, 1] {
                let frame = Bytes::from(vec![b'a' + (size % 26) as u8; size]);
                exchange.send(&frame);
                assert_eq!(exchange.bytes(&mut answer, size), frame, "{size} bytes");
            }
        },
    );
}

/// Frames that come a millisecond apart do not wait for each other. A busy machine makes some of them
/// leave together, hence a quarter, in the best of several runs: a proxy that held frames back would
/// reach it in none.
#[test]
fn frames_a_millisecond_apart_leave_separately() {
    const FRAMES: usize = 100;
    const RUNS: usize = 20;
    let script = Script::new().stream().tokens(FRAMES as u64, Duration::from_millis(1)).done();
    for origin in ORIGINS {
        let fixture = origin.fixture(upstream().script(script.clone()));
        let ask = Ask::post("/v1/chat/completions", "{}");
        let apart = |run: &dyn Fn() -> usize| (0..RUNS).any(|_| run() > FRAMES / 4);
        let http1 = || {
            let mut client = Http1::new(fixture.connect());
            client.ask(&ask).pieces.len().min(client.reads)
        };
        assert!(apart(&http1), "{origin:?}: chunks left together");
        let http2 = || Http2::connect(fixture.address()).ask(&ask).pieces.len();
        assert!(apart(&http2), "{origin:?}: DATA frames left together");
    }
}

/// Frames that are ready together leave together: a handful of reads, not one a frame.
#[test]
fn frames_that_are_ready_together_leave_together() {
    const FRAMES: u64 = 400;
    const TOGETHER: u64 = 20;
    const BURSTS: u64 = FRAMES / TOGETHER;
    let burst =
        |script: Script| script.wait(Duration::from_millis(2)).tokens(TOGETHER, Duration::ZERO);
    let script = (0..BURSTS).fold(Script::new().stream(), |script, _| burst(script)).done();
    for origin in ORIGINS {
        let fixture = origin.fixture(upstream().script(script.clone()));
        let ask = Ask::post("/v1/chat/completions", "{}");
        let mut http1 = Http1::new(fixture.connect());
        let answer = http1.ask(&ask);
        let (chunks, reads) = (answer.pieces.len() as u64, http1.reads as u64);
        assert!(reads >= BURSTS / 4, "{origin:?}: the bursts were held: {reads} reads");
        assert!(reads <= 3 * BURSTS, "{origin:?}: {reads} reads");
        assert!(chunks <= 4 * BURSTS, "{origin:?}: {chunks} chunks");
        let frames = Http2::connect(fixture.address()).ask(&ask).pieces.len() as u64;
        assert!(frames <= 4 * BURSTS, "{origin:?}: {frames} DATA frames");
    }
}

/// Where an HTTP/2 upstream's last frame says that it is the last, so does ours: the client need not
/// wait for another write.
#[test]
fn an_end_that_came_with_the_last_frame_leaves_with_it() {
    const TIMES: usize = 40;
    let script = Script::new().stream().body("data: 1\n\n").wait(Duration::from_millis(1));
    let script = script.body("data: [DONE]\n\n").finish();
    for origin in [Origin::ClearHttp2, Origin::TlsHttp2] {
        let fixture = origin.fixture(upstream().script(script.clone()));
        let ask = Ask::post("/v1/chat/completions", "{}");
        let mut http1 = Http1::new(fixture.connect());
        let mut http2 = Http2::connect(fixture.address());
        for _ in 0..TIMES {
            http1.send(&ask);
            let mut answer = http1.head(&ask);
            let mut last = Bytes::new();
            while !last.ends_with(b"[DONE]\n\n") {
                last = http1.piece(&mut answer).expect("more of the body");
            }
            assert_eq!(http1.unread(), b"0\r\n\r\n", "{origin:?}: the end came apart");
            assert_eq!(http1.piece(&mut answer), None);
            let mut stream = http2.send_head(&ask);
            http2.send_piece(&mut stream, &ask.pieces[0]);
            http2.send_end(&mut stream, &ask);
            let mut answer = http2.head(&mut stream);
            let mut last = Bytes::new();
            while !last.ends_with(b"[DONE]\n\n") {
                last = http2.piece(&mut stream, &mut answer).expect("more of the body");
            }
            assert!(Http2::is_end(&stream), "{origin:?}: END_STREAM came apart");
        }
    }
}
