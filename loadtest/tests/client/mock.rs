//! The client against the stamped mock upstream: one-way times and the byte check.

use std::time::Duration;

use loadtest::client::{Check, Mono, Pool, Protocol, Request, SendOptions, Target, Trace};
use loadtest::upstream::Upstream;

fn ask() -> Request {
    let body = r#"{"model":"m","stream":true,"messages":[{"role":"user","content":"hi"}]}"#;
    Request::post("/v1/chat/completions", body).unwrap()
}

#[tokio::test]
async fn legs_are_exact_and_bytes_are_checked_in_every_protocol() {
    for (tls, protocol) in [
        (false, Protocol::Http1),
        (false, Protocol::Http2),
        (true, Protocol::Http1),
        (true, Protocol::Http2),
    ] {
        let builder = Upstream::builder().tokens(7).token_every(Duration::from_millis(2));
        let builder = if tls { builder.tls() } else { builder.clear() };
        let builder = if protocol == Protocol::Http1 { builder.http1() } else { builder.http2() };
        let mock = builder.start().unwrap();
        let kernel = cfg!(target_os = "linux");
        let target = if tls {
            Target::trusting(&mock.url(), mock.ca_pem()).unwrap()
        } else {
            Target::new(&mock.url()).unwrap()
        };
        let pool = Pool::warm(target.speaking(protocol).with_kernel_stamps(kernel));
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
