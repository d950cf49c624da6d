//! Fifty streams that nobody reads and fifty that are read, on one upstream connection, in frames of
//! a token's size: whose end is whose.

use std::time::Duration;

use loadtest::upstream::{Log, Script, Seen, Upstream};

use crate::support::fixture::Fixture;
use crate::support::peers::raw_http2;
use crate::support::size;

/// Of each kind: the promise's full size.
const STREAMS: usize = 50;
/// Each costs 216 of h2's small-frame budget for its connection until it is read.
const SMALL: usize = 40;
/// As many as one stream's window takes from the upstream. Together they cost twice the budget that h2
/// derives from our connection window, half of 16 MiB.
const UNREAD: u64 = 1_500;
/// From one live frame to the next.
const PACE: Duration = Duration::from_millis(20);
const END: &str = "data: [DONE]\n\n";

#[test]
fn fifty_paced_streams_go_on_beside_fifty_that_nobody_reads() {
    // Ten seconds, or ten minutes.
    let frames = size::size(500, 30_000);
    let upstream = Upstream::builder().http2().respond(move |seen: &Seen| {
        let script = Script::new().stream();
        match seen.path_only() {
            "/v1/unread" => script.tokens_of(UNREAD, Duration::ZERO, SMALL).stall(),
            _ => script.tokens_of(frames as u64, PACE, SMALL).body(END).finish(),
        }
    });
    let fixture = Fixture::configured(upstream, |config| {
        let pool = &mut config.upstreams[0].pool;
        (pool.min_connections, pool.max_connections) = (1, 1);
        pool.streams_per_connection = 2 * STREAMS;
        config.client.write_stall = Duration::from_secs(3600);
    });
    size::block_on(async {
        let mut unread = Vec::new();
        for _ in 0..STREAMS {
            // Over HTTP/1.1 the kernel would take them all.
            let client = raw_http2::Client::windowed(fixture.address(), 0).await;
            unread.push((client.send("/v1/unread", b"{}").await, client));
        }
        let mut live = Vec::new();
        for _ in 0..STREAMS {
            let client = raw_http2::Client::connect(fixture.address()).await;
            live.push(tokio::spawn(async move { client.ask("/v1/live", b"{}").await }));
        }
        for live in live {
            let answer = live.await.expect("no panic").expect("a head");
            assert_eq!(answer.cut, None, "a reader's stream ends cleanly");
            assert_eq!(answer.body.len(), frames * SMALL + END.len());
            assert!(answer.body.ends_with(END.as_bytes()));
        }
    });
    let filled = |log: &Log| {
        let unread = log.requests.iter().filter(|seen| seen.path == "/v1/unread");
        unread.filter(|seen| seen.frames == UNREAD).count()
    };
    let log = fixture.upstream.log();
    assert_eq!(filled(&log), STREAMS, "those who do not read have filled their windows");
    assert_eq!(log.connections.len(), 1, "all of them shared it");
    assert_eq!(log.connections[0].closed, None, "and it lives");
}
