//! Clients that do not read: they cost their window, and nobody else anything.

use std::time::Duration;

use loadtest::upstream::{Builder, Log, Script, Seen, Step, Tokens, Upstream};

use crate::support::fixture::{Fixture, PATIENCE};
use crate::support::peers::{raw_http1, raw_http2};
use crate::support::program::{Program, file_for};

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

/// As `slowhttptest -X` reads: a window of half a kilobyte, and a few bytes of it now and then. That opens no
/// window, so that we give the client up, and never the kernel before us.
fn reads_by_the_spoon(write_stall: Duration, pause: Duration) {
    let upstream = Upstream::builder()
        .http2()
        .respond(|_: &Seen| Script::new().stream().step(Step::Filler(64 * 1024 * 1024)).done());
    let fixture = Fixture::configured(upstream, |config| config.client.write_stall = write_stall);
    let readers = [raw_spoon::HTTP1, raw_spoon::HTTP2]
        .map(|request| raw_spoon::Reader::start(fixture.address(), request, pause));
    let given_up = |log: &Log| log.requests.iter().filter(|seen| seen.was_cancelled()).count() == 2;
    assert!(fixture.upstream.wait_for(given_up, write_stall * 2 + PATIENCE), "nobody ends it");
    drop(readers);
    let lines = fixture.access_log();
    assert_eq!(lines.len(), 2);
    for line in lines {
        assert_eq!(line["outcome"], "timed_out", "{line}");
        assert_eq!(line["error"], "client_stalled", "{line}");
    }
}

mod raw_spoon {
    use std::io::{Read, Write};
    use std::net::{SocketAddr, TcpStream};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::Duration;

    use socket2::{Domain, Socket, Type};

    pub(super) const HTTP1: &[u8] = b"GET /v1/unread HTTP/1.1\r\nhost: a\r\n\r\n";

    /// The preface, SETTINGS with the largest window for streams, the same for the connection, and `GET`
    /// by literals without indexing (RFC 7541, section 6.2.2).
    pub(super) const HTTP2: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\
        \0\0\x06\x04\0\0\0\0\0\0\x04\x7f\xff\xff\xff\
        \0\0\x04\x08\0\0\0\0\0\x7f\xff\0\0\
        \0\0\x11\x01\x05\0\0\0\x01\x82\x86\x04\x0a/v1/unread\x01\x01a";

    /// Reads until dropped.
    pub(super) struct Reader(Arc<AtomicBool>);

    impl Reader {
        pub(super) fn start(address: SocketAddr, request: &[u8], pause: Duration) -> Self {
            let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
            socket.set_recv_buffer_size(512).expect("a buffer's size can be set");
            socket.connect(&address.into()).expect("the proxy listens");
            let mut stream = TcpStream::from(socket);
            stream.write_all(request).expect("the proxy reads");
            let over = Arc::new(AtomicBool::new(false));
            let seen = Arc::clone(&over);
            std::thread::spawn(move || {
                while !seen.load(Ordering::Relaxed) && stream.read(&mut [0; 4]).is_ok() {
                    std::thread::park_timeout(pause); // its pace
                }
            });
            Self(over)
        }
    }

    impl Drop for Reader {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
}

#[test]
fn a_client_that_reads_by_the_spoon_is_evicted_and_so_recorded() {
    reads_by_the_spoon(Duration::from_millis(500), Duration::from_millis(100));
}

/// As long as the kernel waits for a window by default (`TCP_USER_TIMEOUT`), with what an operator gets
/// who sets nothing.
#[test]
fn the_kernel_does_not_give_a_slow_reader_up_before_we_do() {
    if crate::support::size::is_full() {
        reads_by_the_spoon(Duration::from_secs(30), Duration::from_secs(5));
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
