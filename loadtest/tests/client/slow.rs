//! Slow readers: what they take, what they leave, and whose figures a run with them tells.

use std::num::NonZeroU32;
use std::time::Duration;

use loadtest::client::{
    FailureKind, Mono, Pace, Pool, Protocol, Request, SendOptions, Target, Trace,
};
use loadtest::upstream::{Log, RequestSeen, Script, Step, Upstream};

/// An upstream in clear that answers `bytes` bytes at once, and the way to it.
fn flood(protocol: Protocol, bytes: u64) -> (Upstream, Target) {
    let script = Script::new().head(200, &[]).step(Step::Filler(bytes));
    let builder = Upstream::builder().clear().script(script);
    let builder = if protocol == Protocol::Http1 { builder.http1() } else { builder.http2() };
    let mock = builder.start().unwrap();
    let target = Target::new(&mock.url()).unwrap().speaking(protocol);
    (mock, target)
}

fn per_second(bytes: u32) -> Pace {
    Pace::PerSecond(NonZeroU32::new(bytes).unwrap())
}

#[tokio::test]
async fn a_slow_reader_gets_every_byte_no_faster_than_its_pace() {
    const BYTES: u64 = 300_000;
    for protocol in [Protocol::Http1, Protocol::Http2] {
        let (_mock, target) = flood(protocol, BYTES);
        let pool = Pool::warm(target);
        let mut bodies = Vec::new();
        for (pace, at_least) in [
            (Pace::Full, Duration::ZERO),
            // The last read's pause is not waited for: over HTTP/2 that is a frame of 16 KiB.
            (per_second(300_000), Duration::from_millis(900)),
            (Pace::Pause(Duration::from_millis(100)), Duration::from_millis(100)),
        ] {
            let options = SendOptions { pace, ..SendOptions::default() };
            let mut trace = Trace::default();
            let ask = Request::get("/").unwrap();
            let outcome = pool.send(&ask, Mono::now(), &options, &mut trace).await;
            assert!(outcome.ok(), "{protocol:?} {pace:?}: {outcome:?}");
            assert_eq!((outcome.bytes, outcome.slow), (BYTES, pace != Pace::Full));
            let took = Duration::from_nanos(outcome.stamps.end.since(outcome.stamps.started));
            assert!(took >= at_least, "{protocol:?} {pace:?}: {took:?}");
            bodies.push(trace.body);
        }
        assert!(bodies.iter().all(|body| *body == bodies[0]), "{protocol:?}");
    }
}

#[tokio::test]
async fn what_a_slow_reader_leaves_holds_its_sender_back() {
    const BYTES: u64 = 64 << 20;
    for protocol in [Protocol::Http1, Protocol::Http2] {
        let (mock, target) = flood(protocol, BYTES);
        let timeout = Duration::from_secs(1);
        let options = SendOptions { timeout, pace: per_second(16_384), ..SendOptions::default() };
        let ask = Request::get("/").unwrap();
        let outcome = Pool::warm(target).send(&ask, Mono::now(), &options, &mut ()).await;
        assert_eq!(outcome.failed(), Some(FailureKind::Timeout), "{protocol:?}");
        assert!(outcome.bytes <= 2 * 16_384, "{protocol:?}: {}", outcome.bytes);
        let gone = |log: &Log| log.requests.first().is_some_and(RequestSeen::was_cancelled);
        assert!(mock.seen(gone, Duration::from_secs(20)).await, "{protocol:?}");
        let cancelled = &mock.log().requests[0];
        assert!(cancelled.bytes < BYTES / 2, "{protocol:?} took {} bytes", cancelled.bytes);
    }
}
