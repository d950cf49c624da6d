//! Cancels by the thousand on one connection, which others share.

use std::time::Duration;

use loadtest::upstream::{Script, Seen, Step, Tokens, Upstream};

use crate::support::fixture::{Fixture, PATIENCE};
use crate::support::peers::raw_http2;
use crate::support::peers::tap::{GOAWAY, RST_STREAM, Tap};
use crate::support::size;

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

/// Cancels in one moment: the promise's full size.
const AT_ONCE: usize = 1_000;
/// Streams beside them, on the same upstream connection.
const SURVIVORS: usize = 20;
/// Frames that the upstream still sends to streams that it does not yet know to be cancelled: twice
/// what h2 by itself bears in the life of a connection (1,024).
const STRAY: u64 = 2_048;

/// A long way lies between proxy and upstream: the resets are held back while the upstream sends on
/// at its pace, a frame in a tenth of a second to each of the thousand.
#[test]
fn a_thousand_cancels_at_once_under_a_steady_upstream_draw_no_goaway_from_us() {
    let steady = Script::new().stream().tokens_of(1_000_000, Duration::from_millis(100), 40);
    let live = Script::new().stream().tokens_of(80, Duration::from_millis(100), 40);
    let live = live.body("data: [DONE]\n\n").finish();
    let upstream = Upstream::builder().clear().http2().respond(move |seen: &Seen| {
        if seen.path == "/v1/live" { live.clone() } else { steady.clone() }
    });
    let mut tap = Tap::default();
    let fixture = Fixture::configured(upstream, |config| {
        tap = Tap::in_front_of(config);
        let pool = &mut config.upstreams[0].pool;
        (pool.min_connections, pool.max_connections) = (1, 1);
        (pool.streams_per_connection, pool.max_requests) = (2_000, 1_000_000);
        pool.queue_timeout = PATIENCE;
    });
    size::block_on(async {
        let mut cancelled = Vec::new();
        let clients = open(&fixture, AT_ONCE / 100).await;
        for client in &clients {
            for _ in 0..100 {
                cancelled.push(client.send("/v1/cancel", b"{}").await);
            }
        }
        let mut bodies = Vec::new();
        for answer in cancelled {
            bodies.push(answer.await.expect("a head").into_body());
        }
        let neighbours = open(&fixture, SURVIVORS).await;
        let live: Vec<_> = neighbours
            .into_iter()
            .map(|client| tokio::spawn(async move { client.ask("/v1/live", b"{}").await }))
            .collect();
        let both = |log: &loadtest::upstream::Log| log.requests.len() == AT_ONCE + SURVIVORS;
        assert!(fixture.upstream.seen(both, PATIENCE).await, "all are under way");
        tap.hold();
        drop(bodies);
        let gone = r#"firstbyte_stream_end_total{outcome="client_gone"}"#;
        fixture.wait_until_async("all are cancelled", |f| f.count(gone) == AT_ONCE as u64).await;
        let (before, mut after) = (sent_to_cancelled(&fixture), 0);
        while after < before + STRAY {
            tokio::time::sleep(Duration::from_millis(50)).await; // the upstream's pace is waited for
            after = sent_to_cancelled(&fixture);
        }
        tap.release();
        for live in live {
            let answer = live.await.expect("no panic").expect("a head");
            assert_eq!(answer.cut, None, "a survivor ends cleanly");
            assert_eq!(answer.body.len(), 80 * 40 + b"data: [DONE]\n\n".len());
        }
    });
    assert_eq!(tap.count(GOAWAY), 0, "we sent it away");
    assert_eq!(tap.count(RST_STREAM), AT_ONCE, "each was cancelled, and once");
    let log = fixture.upstream.log();
    assert_eq!(log.connections.len(), 1, "the connection was never replaced");
    assert_eq!(log.connections[0].closed, None);
}

async fn open(fixture: &Fixture, count: usize) -> Vec<raw_http2::Client> {
    let mut clients = Vec::new();
    for _ in 0..count {
        clients.push(raw_http2::Client::connect(fixture.address()).await);
    }
    clients
}

/// Frames that the upstream has sent to those who left.
fn sent_to_cancelled(fixture: &Fixture) -> u64 {
    let log = fixture.upstream.log();
    let cancelled = log.requests.iter().filter(|seen| seen.path == "/v1/cancel");
    cancelled.map(|seen| seen.frames).sum()
}
