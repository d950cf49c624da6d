//! Cancels by the thousand on one connection, which others share.

use std::time::Duration;

use loadtest::upstream::{Script, Seen, Step, Tokens, Upstream};

use crate::fixture::Fixture;
use crate::raw_http2;

/// Cancels on the one upstream connection: the promise's full size.
const CANCELS: usize = 2_000;
/// Of them at once, on one client connection.
const BATCH: usize = 50;

#[test]
fn two_thousand_cancels_end_neither_the_connection_nor_a_neighbour() {
    // Frames are on their way to a stream when it is reset, each of which h2 would count against
    // the connection once it has forgotten the stream.
    let burst = Tokens { count: 100, bytes: 40, ..Tokens::default() };
    let cancelled = Script::new().stream().step(Step::Tokens(burst)).stall();
    let live = Script::new().stream().tokens(300, Duration::from_millis(10)).done();
    let upstream = Upstream::builder().http2().respond(move |seen: &Seen| {
        if seen.path == "/v1/live" { live.clone() } else { cancelled.clone() }
    });
    let fixture = Fixture::configured(upstream, |config| {
        let pool = &mut config.upstreams[0].pool;
        (pool.min_connections, pool.max_connections) = (1, 1);
        (pool.streams_per_connection, pool.max_requests) = (200, 1_000_000);
    });
    raw_http2::block_on(async {
        let neighbour = raw_http2::Client::connect(fixture.address()).await;
        let live: Vec<_> = (0..5)
            .map(|_| {
                let neighbour = neighbour.clone();
                tokio::spawn(async move { neighbour.ask("/v1/live", b"{}").await })
            })
            .collect();
        for _ in 0..CANCELS / BATCH {
            let client = raw_http2::Client::connect(fixture.address()).await;
            let mut answers = Vec::new();
            for _ in 0..BATCH {
                answers.push(client.send("/v1/cancel", b"{}").await);
            }
            for answer in answers {
                drop(answer.await.expect("a head"));
            }
        }
        for live in live {
            let answer = live.await.expect("no panic").expect("a head");
            assert_eq!(answer.cut, None, "a neighbour ends cleanly");
            assert!(answer.body.ends_with(b"data: [DONE]\n\n"));
        }
    });
    let gone = r#"firstbyte_stream_end_total{outcome="client_gone"}"#;
    fixture.wait_until("all cancels are recorded", |f| f.count(gone) == CANCELS as u64);
    let log = fixture.upstream.log();
    assert_eq!(log.connections.len(), 1, "the connection was never replaced");
    assert_eq!(log.connections[0].closed, None);
    assert_eq!(log.requests.len(), CANCELS + 5);
}
