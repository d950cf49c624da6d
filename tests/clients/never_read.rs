//! A thousand clients that never read: what one costs, when it is evicted, and what the others feel.

use std::time::{Duration, Instant};

use loadtest::upstream::{Log, Script, Seen, Step, Upstream};

use crate::support::fixture::{Fixture, PATIENCE};
use crate::support::peers::{raw_http1, raw_http2};
use crate::support::program::{Program, file_for};
use crate::support::size;
use crate::support::size::{bound, is_full, quantile, raise_descriptor_limit};

/// Of each protocol; the promise's full size is a thousand of both.
const CLIENTS: usize = 500;

/// More than any buffer between upstream and client takes.
const ENDLESS: u64 = 64 * 1024 * 1024;

fn upstream() -> loadtest::upstream::Builder {
    let endless = Script::new().stream().step(Step::Filler(ENDLESS)).done();
    Upstream::builder().http2().respond(move |seen: &Seen| match seen.path_only() {
        "/v1/unread" => endless.clone(),
        _ => Script::new().answer(200, &[], "{}"),
    })
}

/// Those who never read, each on a connection of its own. Dropped, they leave.
struct Unread {
    _sockets: Vec<raw_http1::Client>,
    _streams: Vec<(raw_http2::Client, http::Response<h2::RecvStream>)>,
}

async fn ask_and_never_read(address: std::net::SocketAddr) -> Unread {
    let (mut sockets, mut streams) = (Vec::new(), Vec::new());
    for _ in 0..CLIENTS {
        let mut socket = raw_http1::Client::narrow_to(address);
        socket.ask("/v1/unread", b"{}");
        sockets.push(socket);
        let client = raw_http2::Client::windowed(address, 0).await;
        let answer = client.send("/v1/unread", b"{}").await.await.expect("a head");
        streams.push((client, answer));
    }
    Unread { _sockets: sockets, _streams: streams }
}

fn unread(log: &Log) -> impl Iterator<Item = &loadtest::upstream::RequestSeen> {
    log.requests.iter().filter(|seen| seen.path == "/v1/unread")
}

/// What one may make the proxy hold by default: the window of its upstream stream.
const WINDOW: u64 = 64 * 1024;

/// And what it costs besides: what an HTTP/1.1 writer has gathered for one write (32 KiB and a frame),
/// or what an HTTP/2 connection costs hyper; the task, the record, the upstream's stream. A
/// release build weighs the same.
const BESIDES: u64 = 80 * 1024;

#[test]
fn a_thousand_clients_that_never_read_cost_their_windows_and_no_more() {
    raise_descriptor_limit();
    let upstream = upstream().start().expect("the mock upstream starts");
    let program = Program::start(&file_for(&upstream));
    program.wait_until("it is ready", |program| program.status("/readyz") == 200);
    size::block_on(async {
        // What is allocated once is not the clients'.
        for _ in 0..20 {
            let warm = raw_http2::Client::connect(program.address).await;
            warm.ask("/v1/warm", b"{}").await.expect("a head");
        }
        let before = program.resident();
        let clients = ask_and_never_read(program.address).await;
        let asked =
            |log: &Log| unread(log).filter(|seen| seen.answer_ns.is_some()).count() == 2 * CLIENTS;
        assert!(upstream.seen(asked, PATIENCE).await, "all are being answered");
        // Requests that come back show that the proxy has read what came before them.
        let mut held = 0;
        while program.resident() > held {
            held = program.resident();
            for _ in 0..20 {
                let after = raw_http2::Client::connect(program.address).await;
                after.ask("/v1/after", b"{}").await.expect("a head");
            }
        }
        let each = held.saturating_sub(before) / (2 * CLIENTS as u64);
        println!("{each} bytes for each of {} clients that never read", 2 * CLIENTS);
        assert!(each <= WINDOW + BESIDES, "{each} bytes for each client");
        drop(clients);
    });
}

/// The deadline under test.
const STALL: Duration = Duration::from_secs(5);

/// How long each of so many requests took, one after the other.
async fn pings(fixture: &Fixture, count: usize) -> Vec<Duration> {
    let client = raw_http2::Client::connect(fixture.address()).await;
    let mut took = Vec::new();
    for _ in 0..count {
        let begun = Instant::now();
        client.ask("/v1/ping", b"{}").await.expect("an answer");
        took.push(begun.elapsed());
    }
    took
}

#[test]
fn a_thousand_clients_that_never_read_are_evicted_at_their_deadline_and_neighbours_do_not_feel_it()
{
    raise_descriptor_limit();
    let fixture = Fixture::configured(upstream(), |config| config.client.write_stall = STALL);
    let (mut alone, mut beside) = size::block_on(async {
        let alone = pings(&fixture, 500).await;
        let clients = ask_and_never_read(fixture.address()).await;
        let beside = pings(&fixture, 500).await;
        let given_up = |fixture: &Fixture| {
            let log = fixture.upstream.log();
            unread(&log).filter(|seen| seen.was_cancelled()).count() == 2 * CLIENTS
        };
        let begun = Instant::now();
        while !given_up(&fixture) {
            assert!(begun.elapsed() < STALL + PATIENCE * 4, "not all are evicted");
            tokio::time::sleep(Duration::from_millis(50)).await; // between looks at a long log
        }
        drop(clients);
        (alone, beside)
    });
    let log = fixture.upstream.log();
    let took = |seen: &loadtest::upstream::RequestSeen| {
        Duration::from_nanos(seen.end_ns.unwrap_or(0) - seen.answer_ns.unwrap_or(0))
    };
    let mut evicted: Vec<Duration> = unread(&log).map(took).collect();
    let (first, last) = (quantile(&mut evicted, 0), quantile(&mut evicted, 100));
    println!("evicted after {first:?} to {last:?}, the deadline being {STALL:?}");
    assert!(first >= STALL, "evicted before the deadline, after {first:?}");
    let late = bound(Duration::from_secs(60), Duration::from_secs(1));
    assert!(last <= STALL + late, "evicted only after {last:?}");
    // On a shared machine the slowest of a hundred tell about the machine.
    let percent = if is_full() { 99 } else { 50 };
    let (alone, beside) = (quantile(&mut alone, percent), quantile(&mut beside, percent));
    println!("a neighbour's p{percent} is {beside:?}, and was {alone:?}");
    let slack = bound(Duration::from_millis(500), Duration::from_micros(200));
    assert!(beside <= alone * 2 + slack, "{beside:?} beside them, {alone:?} alone");
    for line in fixture.access_log() {
        let code = (line["path"] == "/v1/unread").then_some("client_stalled");
        assert_eq!(line["error"].as_str(), code, "{line}");
    }
}
