//! An upstream that sends a thousand connections away under a hundred streams, and allows few streams on
//! each: nobody fails, its limit is never met, and who must wait is told in time.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use firstbyte::config::{Config, Protocol as Upward};
use loadtest::client::{Check, Mono, Pool, Protocol, Request, SendOptions, Target};
use loadtest::upstream::{Builder, Goaway, Script, Seen, Step, Tokens, Upstream};

use crate::support::fixture::Fixture;
use crate::support::peers::raw_http1;
use crate::support::size::{block_on, bound, size};

/// At once: the promise's full size.
const STREAMS: usize = 100;
/// That the upstream allows on one connection.
const LIMIT: u32 = 16;

fn patient(config: &mut Config) {
    let upstream = &mut config.upstreams[0];
    upstream.protocol = Upward::Http2;
    upstream.pool.max_requests = 1_000_000; // the pool must not leave first
    upstream.pool.queue_timeout = Duration::from_secs(60);
}

/// A hundred clients, one stream after the other each, while `more`: what failed.
async fn stream_while(
    fixture: &Fixture,
    protocol: Protocol,
    more: impl Fn() -> bool + Clone + Send + Sync + 'static,
) -> Vec<String> {
    let url = format!("http://{}", fixture.address());
    let pool = Pool::warm(Target::new(&url).expect("a URL").speaking(protocol));
    let clients: Vec<_> = (0..STREAMS)
        .map(|_| {
            let (pool, more) = (pool.clone(), more.clone());
            tokio::spawn(async move {
                let request = Request::post("/v1/chat/completions", "{\"stream\":true}");
                let request = request.expect("a request");
                let options = SendOptions { hash: true, ..SendOptions::default() };
                let mut failures = Vec::new();
                while more() {
                    let got = pool.send(&request, Mono::now(), &options, &mut ()).await;
                    failures.extend(got.failure.map(|failure| format!("{failure:?}")));
                    assert_ne!(got.check, Check::Different);
                }
                failures
            })
        })
        .collect();
    let mut failures = Vec::new();
    for client in clients {
        failures.extend(client.await.expect("no panic"));
    }
    failures
}

/// Streams of some hundredths of a second, so that many are under way whenever a connection is sent away;
/// every `every`-th of them has the upstream send its connection away.
fn sends_away(every: u64, how: Goaway) -> Builder {
    let upstream = Upstream::builder().clear().http2().stream_limit(LIMIT);
    upstream.respond(move |seen: &Seen| {
        let tokens = Tokens { count: 5, every: Duration::from_millis(10), ..Tokens::default() };
        let script = Script::new();
        let last = seen.nth % every == every - 1;
        let script = if last { script.goaway(how) } else { script };
        script.stream().step(Step::Tokens(tokens)).done()
    })
}

/// True so many times, whoever asks.
fn times(count: usize) -> impl Fn() -> bool + Clone + Send + Sync + 'static {
    let left = Arc::new(AtomicUsize::new(count));
    move || {
        let one_less = |left: usize| left.checked_sub(1);
        left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less).is_ok()
    }
}

fn assert_limit_kept(fixture: &Fixture) {
    for connection in &fixture.upstream.log().connections {
        assert!(connection.peak_streams <= LIMIT as usize, "{connection:?}");
        assert_eq!(connection.refused, 0, "a stream beyond the limit was refused");
    }
}

/// Connections that ended, after the upstream had sent them away.
fn sent_away(fixture: &Fixture) -> usize {
    let log = fixture.upstream.log();
    log.connections.iter().filter(|connection| connection.closed.is_some()).count()
}

#[test]
fn a_thousand_graceful_goaways_under_a_hundred_streams_are_seen_by_nobody() {
    let goaways = size(250, 1_000);
    for protocol in [Protocol::Http1, Protocol::Http2] {
        let fixture = Fixture::configured(sends_away(10, Goaway::Graceful), patient);
        let streams = stream_while(&fixture, protocol, times(goaways * 10));
        let failures = block_on(streams);
        println!("{protocol:?}: {} connections were sent away", sent_away(&fixture));
        assert!(failures.is_empty(), "{} failed: {}", failures.len(), failures[0]);
        // Two requests may ask for the end of one connection.
        assert!(sent_away(&fixture) >= goaways / 2, "nothing was tested");
        assert_limit_kept(&fixture);
        for line in fixture.access_log() {
            assert_eq!(line["outcome"], "complete", "{line}");
        }
    }
}

/// Without a warning those that cross the GOAWAY on their way are disowned, and go out again: up to three
/// times, and in a storm like this one some are disowned as often.
#[test]
fn abrupt_goaways_under_a_hundred_streams_are_seen_by_nobody_who_was_not_disowned_four_times() {
    let requests = size(3_000, 30_000);
    let fixture = Fixture::configured(sends_away(30, Goaway::AfterThis), patient);
    let failures = block_on(stream_while(&fixture, Protocol::Http2, times(requests)));
    let replays = fixture.count(r#"firstbyte_replays_total{reason="goaway"}"#);
    println!("{} sent away, {replays} replays, {} failed", sent_away(&fixture), failures.len());
    assert!(replays > 0, "nobody was disowned");
    assert!(failures.len() * 100 < requests, "{failures:?}");
    assert_limit_kept(&fixture);
    for line in fixture.access_log() {
        assert!(line["outcome"] == "complete" || line["replays"] == 3, "{line}");
    }
}

/// As many as the pool can carry have their streams. The others wait for as long as they may, are told,
/// and are never asked for.
#[test]
fn who_finds_no_stream_waits_for_as_long_as_the_queue_allows_and_gets_503() {
    let wait = Duration::from_millis(700);
    let script = Script::new().stream().tokens(1, Duration::ZERO).stall();
    let upstream = Upstream::builder().clear().http2().stream_limit(LIMIT).script(script);
    let fixture = Fixture::configured(upstream, |config| {
        patient(config);
        let pool = &mut config.upstreams[0].pool;
        (pool.min_connections, pool.max_connections, pool.queue_timeout) = (2, 2, wait);
    });
    let mut clients: Vec<_> = (0..STREAMS)
        .map(|_| {
            let mut client = raw_http1::Client::connect(&fixture);
            client.ask("/v1/long", b"{}");
            client
        })
        .collect();
    let begun = Instant::now();
    let refused = r#"firstbyte_stream_end_total{outcome="refused"}"#;
    fixture.wait_until("the others are told", |fixture| {
        fixture.count(refused) + fixture.upstream.requests() == STREAMS as u64
    });
    let told = begun.elapsed();
    assert!(told < wait + bound(Duration::from_secs(10), Duration::from_millis(300)), "{told:?}");
    let served = fixture.upstream.requests() as usize;
    let heads = clients.iter_mut().map(|client| client.head().expect("a head"));
    let statuses: Vec<_> = heads.map(|head| head.starts_with("HTTP/1.1 200")).collect();
    assert_eq!(statuses.iter().filter(|ok| **ok).count(), served);
    assert_eq!(served, 2 * 12, "three quarters of the limit, on each of two connections");
    assert_limit_kept(&fixture);
    drop(clients);
    for line in fixture.access_log().iter().filter(|line| line["status"] == 503) {
        let waited = line["duration_us"].as_f64().expect("a duration") / 1e6;
        assert!(waited >= wait.as_secs_f64() * 0.99, "told after {waited} s: {line}");
        assert_eq!(line["error"], "pool_queue_timeout", "{line}");
    }
}
