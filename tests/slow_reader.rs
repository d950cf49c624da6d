//! Clients that do not read: they cost their window, and nobody else anything.

use std::time::Duration;

use loadtest::upstream::{Builder, Log, Script, Seen, Step, Tokens, Upstream};

use crate::fixture::{Fixture, PATIENCE};
use crate::program::{Program, file_for};
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

/// Clients of each protocol that never read.
const CLIENTS: usize = 200;

/// What one of them may make the proxy hold: the window of its upstream stream (64 KiB by default).
const WINDOW: u64 = 64 * 1024;

/// And what it costs besides: its connection, its task, its record, its upstream stream.
const BESIDES: u64 = 24 * 1024;

#[test]
fn a_client_that_never_reads_costs_its_window_and_no_more() {
    // Twice the window: what does not fit stays with the upstream.
    let endless = Script::new().stream().step(Step::Filler(2 * WINDOW)).stall();
    let upstream = Upstream::builder().http2().respond(move |seen: &Seen| {
        if seen.path == "/v1/unread" { endless.clone() } else { small(100).done() }
    });
    let upstream = upstream.start().expect("the mock upstream starts");
    let program = Program::start(&file_for(&upstream));
    program.wait_until("it is ready", |program| program.status("/readyz") == 200);
    let asked = |requests: usize| {
        move |log: &Log| {
            log.requests.iter().filter(|seen| seen.answer_ns.is_some()).count() >= requests
        }
    };
    raw_http2::block_on(async {
        // What is allocated once is not the clients'.
        for _ in 0..20 {
            let warm = raw_http2::Client::connect(program.address).await;
            warm.ask("/v1/warm", b"{}").await.expect("a head");
        }
        let before = program.resident();
        let client = raw_http2::Client::windowed(program.address, 0).await;
        let mut unread = Vec::new();
        for _ in 0..CLIENTS {
            unread.push(client.send("/v1/unread", b"{}").await.await.expect("a head"));
        }
        let mut sockets = Vec::new();
        for _ in 0..CLIENTS {
            let mut socket = raw_http1::Client::narrow_to(program.address);
            socket.ask("/v1/unread", b"{}");
            sockets.push(socket);
        }
        assert!(upstream.seen(asked(20 + 2 * CLIENTS), PATIENCE).await);
        // A request that comes back shows that the proxy has read what came before it.
        for _ in 0..20 {
            let after = raw_http2::Client::connect(program.address).await;
            after.ask("/v1/after", b"{}").await.expect("a head");
        }
        let each = program.resident().saturating_sub(before) / (2 * CLIENTS as u64);
        println!("{each} bytes for each client that never reads");
        assert!(each <= WINDOW + BESIDES, "{each} bytes for each client");
    });
}

fn evicts(upstream: Builder) {
    let endless = Script::new().stream().step(Step::Filler(64 * 1024 * 1024)).done();
    let upstream = upstream.respond(move |seen: &Seen| {
        if seen.path == "/v1/unread" { endless.clone() } else { small(100).done() }
    });
    let fixture = Fixture::configured(upstream, |config| {
        config.client.write_stall = Duration::from_millis(400);
    });
    let mut socket = raw_http1::Client::narrow(&fixture);
    socket.ask("/v1/unread", b"{}");
    raw_http2::block_on(async {
        let clients = [
            raw_http2::Client::windowed(fixture.address(), 0).await,
            raw_http2::Client::windowed(fixture.address(), 5_000).await,
        ];
        for client in &clients {
            let answer = client.send("/v1/unread", b"{}").await.await.expect("a head");
            let mut body = answer.into_body();
            // What comes within the window is taken, and no more window is given.
            let cut = loop {
                match body.data().await {
                    Some(Ok(_)) => {}
                    Some(Err(error)) => break error,
                    None => panic!("an evicted stream looks like an end"),
                }
            };
            assert!(cut.is_reset(), "the stream ends, not the connection: {cut}");
        }
        let answer = clients[1].ask("/v1/read", b"{}").await.expect("the connection lives");
        assert!(answer.cut.is_none() && answer.body.ends_with(b"data: [DONE]\n\n"));
    });
    let given_up = |log: &Log| {
        let unread = log.requests.iter().filter(|seen| seen.path == "/v1/unread");
        unread.filter(|seen| seen.was_cancelled()).count() == 3
    };
    assert!(fixture.upstream.wait_for(given_up, PATIENCE), "the upstream is told");
    let lines = fixture.access_log();
    assert_eq!(lines.len(), 4);
    for line in lines.iter().filter(|line| line["path"] == "/v1/unread") {
        assert_eq!(line["outcome"], "timed_out", "{line}");
        assert_eq!(line["error"], "client_stalled", "{line}");
    }
}

#[test]
fn a_client_that_takes_nothing_is_evicted_and_the_http2_upstream_told() {
    evicts(Upstream::builder().http2());
}

#[test]
fn a_client_that_takes_nothing_is_evicted_and_the_http1_upstream_told() {
    evicts(Upstream::builder().clear().http1());
}
