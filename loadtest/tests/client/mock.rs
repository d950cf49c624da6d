//! The client against the stamped mock upstream: one-way times and the byte check.

use std::time::Duration;

use loadtest::client::{
    Check, FailureKind, Mono, Pool, Protocol, Request, SendOptions, Target, Trace,
};
use loadtest::upstream::{Builder, Upstream};

fn ask() -> Request {
    let body = r#"{"model":"m","stream":true,"messages":[{"role":"user","content":"hi"}]}"#;
    Request::post("/v1/chat/completions", body).unwrap()
}

/// The mock in each pairing of TLS and protocol, and the way to it.
fn everywhere(build: impl Fn(Builder) -> Builder) -> Vec<(Upstream, Target, Protocol)> {
    let all = [
        (false, Protocol::Http1),
        (false, Protocol::Http2),
        (true, Protocol::Http1),
        (true, Protocol::Http2),
    ];
    let start = |(tls, protocol)| {
        let builder = build(Upstream::builder());
        let builder = if tls { builder.tls() } else { builder.clear() };
        let builder = if protocol == Protocol::Http1 { builder.http1() } else { builder.http2() };
        let mock = builder.start().unwrap();
        let target = if tls {
            Target::trusting(&mock.url(), mock.ca_pem()).unwrap()
        } else {
            Target::new(&mock.url()).unwrap()
        };
        (mock, target.speaking(protocol), protocol)
    };
    all.into_iter().map(start).collect()
}

#[tokio::test]
async fn legs_are_exact_and_bytes_are_checked_in_every_protocol() {
    let kernel = cfg!(target_os = "linux");
    let pace = |builder: Builder| builder.tokens(7).token_every(Duration::from_millis(2));
    for (_mock, target, protocol) in everywhere(pace) {
        let pool = Pool::warm(target.with_kernel_stamps(kernel));
        let options = SendOptions { hash: true, ..SendOptions::default() };
        let mut trace = Trace::default();
        let outcome = pool.send(&ask(), Mono::now(), &options, &mut trace).await;
        assert!(outcome.ok(), "{protocol:?} {outcome:?}");
        assert_eq!(outcome.check, Check::Same, "{protocol:?}");
        assert_eq!(outcome.contents, 7);
        assert_eq!(trace.gaps.len() as u64 + 1, outcome.events);
        assert!(trace.legs.len() >= 7, "{}", trace.legs.len());
        let stamps = outcome.stamps;
        let (received, sent) = (stamps.mock_received.unwrap(), stamps.mock_sent.unwrap());
        assert!(stamps.due < received && received <= sent && sent < stamps.end);
        assert_eq!(trace.wakes.is_empty(), !kernel, "{protocol:?}");
        assert!(trace.wakes.iter().all(|wake| *wake < stamps.end.since(stamps.due)));
        // One process, one clock: a leg is shorter than the request it is part of.
        assert!(trace.legs.iter().all(|leg| *leg < stamps.end.since(stamps.due)));
    }
}

#[tokio::test]
async fn every_way_of_breaking_an_answer_is_told_apart_in_every_protocol() {
    use FailureKind::{ErrorEvent, NoDone, NoHead, Reset, Status, Timeout};
    let faults: [(&str, &[FailureKind]); 13] = [
        ("never", &[Timeout]),
        ("stall", &[Timeout]),
        ("cut-before-head", &[NoHead]),
        ("reset-before-head", &[NoHead]),
        ("reset-mid-stream", &[Reset]),
        ("truncate", &[Reset]),
        ("cut-fin", &[Reset]),
        ("cut-rst", &[Reset]),
        ("no-close-notify", &[Reset]),
        ("short-length", &[Reset, FailureKind::Protocol]),
        ("no-done", &[NoDone]),
        ("error-event", &[ErrorEvent]),
        ("429", &[Status]),
    ];
    let patient = SendOptions { timeout: Duration::from_secs(30), ..SendOptions::default() };
    let hasty = SendOptions { timeout: Duration::from_millis(400), ..SendOptions::default() };
    for (_mock, target, protocol) in everywhere(|builder| builder.tokens(6)) {
        let pool = Pool::warm(target);
        for (script, kinds) in faults {
            let broken = ask().header("x-mock-script", script).unwrap();
            // Only what never ends may run out of time: a busy machine takes as long as it takes.
            let options = if kinds == [Timeout] { &hasty } else { &patient };
            let outcome = pool.send(&broken, Mono::now(), options, &mut ()).await;
            let kind = outcome.failed().unwrap_or_else(|| panic!("{script} {protocol:?}"));
            assert!(kinds.contains(&kind), "{script} {protocol:?}: {outcome:?}");
        }
        let whole = pool.send(&ask(), Mono::now(), &patient, &mut ()).await;
        assert!(whole.ok(), "the pool is well again: {whole:?}");
    }
}
