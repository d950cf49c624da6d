//! Clients that do not read: they cost their window, and nobody else anything.

use loadtest::upstream::{Log, Script, Seen, Step, Tokens, Upstream};

use crate::fixture::{Fixture, PATIENCE};
use crate::{raw_http1, raw_http2};

/// Frames of a token's size, each of which costs 216 of h2's small-frame budget until it is read.
const SMALL: usize = 40;

/// As many of them as fit into one stream's window: the upstream can send no more to who never reads.
const BURST: u64 = 1_500;

/// Streams that one client opens and never reads. Their frames together cost half as much again as
/// the budget that h2 derives from our connection window: half of 16 MiB.
const UNREAD: usize = 40;

/// Streams that are read to their end beside them.
const LIVE: usize = 50;

/// `count` small frames back to back.
fn small(count: u64) -> Script {
    Script::new().stream().step(Step::Tokens(Tokens { count, bytes: SMALL, ..Tokens::default() }))
}

/// So many streams that nobody reads have filled their windows.
fn filled(streams: usize) -> impl Fn(&Log) -> bool {
    move |log| log.requests.iter().filter(|seen| seen.frames >= BURST).count() >= streams
}

/// Two protections hold this up, and each is enough here: frames that a client does not take are
/// drained into a buffer of our own as they come, which refunds their cost; and the budget is set so
/// high that the window runs out first. With neither, our side ends the connection.
#[test]
fn fifty_readers_finish_beside_one_that_never_reads() {
    let upstream = Upstream::builder().http2().respond(|seen: &Seen| match seen.path_only() {
        "/v1/unread" => small(BURST).stall(),
        _ => small(1_000).done(),
    });
    let fixture = Fixture::configured(upstream, |config| {
        let pool = &mut config.upstreams[0].pool;
        (pool.min_connections, pool.max_connections) = (1, 1);
        pool.streams_per_connection = 400;
    });
    raw_http2::block_on(async {
        let never = raw_http2::Client::windowed(fixture.address(), 0).await;
        let mut unread = Vec::new();
        for _ in 0..UNREAD {
            unread.push(never.send("/v1/unread", b"{}").await);
        }
        let mut socket = raw_http1::Client::narrow(&fixture);
        socket.ask("/v1/unread", b"{}");
        let live: Vec<_> = (0..LIVE)
            .map(|_| {
                let address = fixture.address();
                tokio::spawn(async move {
                    raw_http2::Client::connect(address).await.ask("/v1/live", b"{}").await
                })
            })
            .collect();
        for live in live {
            let answer = live.await.expect("no panic").expect("a head");
            assert_eq!(answer.cut, None, "a reader's stream ends cleanly");
            assert!(answer.body.ends_with(b"data: [DONE]\n\n"));
        }
        assert!(fixture.upstream.seen(filled(UNREAD + 1), PATIENCE).await, "nobody reads the rest");
        drop((unread, socket));
    });
    let log = fixture.upstream.log();
    assert_eq!(log.connections.len(), 1, "all of them shared it");
    assert_eq!(log.connections[0].closed, None, "and it lives");
}
