//! Connections of HTTP/1.1 between two requests: their server closes them when it likes.

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use firstbyte::config::{Config, Protocol};
use loadtest::upstream::{Log, Script, Upstream};

use crate::support::fixture::{Fixture, PATIENCE};
use crate::support::peers::raw_http1::Client;
use crate::support::peers::raw_upstream::{lead_to, serve};

const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

/// How often an upstream was connected to, and how many of those connections are open.
#[derive(Clone, Default)]
struct Seen {
    connections: Arc<AtomicUsize>,
    open: Arc<AtomicUsize>,
}

/// An upstream that closes a connection which is idle for `idle`, as uvicorn and Node do.
fn impatient(idle: Duration) -> (SocketAddr, Seen) {
    let seen = Seen::default();
    let count = seen.clone();
    let address = serve(move |stream| {
        count.connections.fetch_add(1, Ordering::SeqCst);
        count.open.fetch_add(1, Ordering::SeqCst);
        stream.set_read_timeout(Some(idle)).expect("a timeout can be set");
        let mut read = Vec::new();
        let mut chunk = [0; 4096];
        while let Ok(length @ 1..) = stream.read(&mut chunk) {
            read.extend_from_slice(&chunk[..length]);
            if read.ends_with(b"{}") && std::mem::take(&mut read).len() > 2 {
                stream.write_all(OK).expect("the proxy reads");
            }
        }
        stream.shutdown(std::net::Shutdown::Both).ok();
        count.open.fetch_sub(1, Ordering::SeqCst);
    });
    (address, seen)
}

fn before(upstream: SocketAddr, change: impl FnOnce(&mut Config)) -> Fixture {
    Fixture::configured(Upstream::builder().clear(), |config| {
        lead_to(config, upstream, Protocol::Http1);
        change(config);
    })
}

/// Requests with pauses that the upstream's connections do not outlive. Whatever is put on one that has ended is
/// lost, and whatever is opened while nobody asks is opened in vain.
#[test]
fn an_upstream_that_closes_what_is_idle_loses_no_request_and_is_not_flooded_with_connections() {
    const REQUESTS: usize = 30;
    let (upstream, seen) = impatient(Duration::from_millis(100));
    // Below what the upstream allows, as the key's text asks: no request meets the close on its way.
    let fixture = before(upstream, |config| {
        config.upstreams[0].pool.max_idle = Duration::from_millis(50);
    });
    let mut client = Client::connect(&fixture);
    for nth in 0..REQUESTS {
        client.ask("/v1/x", b"{}");
        let answer = client.answer().expect("an answer");
        assert_eq!((answer.status, answer.text().as_str()), (200, "ok"), "of request {nth}");
        // For as long as two connections live, one after the other.
        let pause = Instant::now() + Duration::from_millis(210);
        while Instant::now() < pause || seen.open.load(Ordering::SeqCst) > 2 {
            std::thread::yield_now();
        }
    }
    // nginx opens one for each. Sixteen are free, and then each two pay for one more; some may be on the way.
    let connections = seen.connections.load(Ordering::SeqCst);
    assert!(connections <= REQUESTS + REQUESTS / 2 + 16 + 8, "{connections} for {REQUESTS}");
}

/// The FIN is here, and perhaps nobody has looked at the socket since.
#[test]
fn a_connection_that_ended_after_its_answer_is_not_asked_again() {
    let closed = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&closed);
    let upstream = serve(move |stream| {
        let mut read = Vec::new();
        let mut chunk = [0; 4096];
        while !read.ends_with(b"{}") {
            let Ok(length @ 1..) = stream.read(&mut chunk) else { return };
            read.extend_from_slice(&chunk[..length]);
        }
        stream.write_all(OK).expect("the proxy reads");
        stream.shutdown(std::net::Shutdown::Both).ok();
        count.fetch_add(1, Ordering::SeqCst);
    });
    let fixture = before(upstream, |_| {});
    let mut client = Client::connect(&fixture);
    for nth in 1..=100 {
        client.ask("/v1/x", b"{}");
        assert_eq!(client.answer().expect("an answer").text(), "ok", "of request {nth}");
        while closed.load(Ordering::SeqCst) < nth {
            std::thread::yield_now();
        }
    }
}

fn held_for(max_idle: Duration) -> Fixture {
    let upstream = Upstream::builder().clear().http1();
    Fixture::configured(upstream.script(Script::new().answer(200, &[], "{}")), |config| {
        config.upstreams[0].pool.max_idle = max_idle;
    })
}

#[test]
fn what_was_idle_for_max_idle_is_replaced_before_it_is_asked() {
    let max_idle = Duration::from_millis(200);
    let fixture = held_for(max_idle);
    let ask = || {
        let mut client = Client::connect(&fixture);
        client.ask("/v1/x", b"{}");
        assert!(client.answer().expect("an answer").whole);
        let log = fixture.upstream.log();
        log.requests.last().expect("it was asked").connection
    };
    let first = ask();
    let gone = |log: &Log| log.connections[first as usize].closed.is_some();
    assert!(fixture.upstream.wait_for(gone, PATIENCE), "it is closed by us");
    assert_ne!(ask(), first);
    // It was there already.
    assert_eq!(fixture.count(r#"firstbyte_cold_requests_total{upstream="openai"}"#), 0);
}

/// Nobody asks: what is kept warm is replaced for a while, and then there is nothing.
#[test]
fn a_pool_that_nobody_asks_comes_to_rest_and_wakes_with_a_request() {
    let fixture = held_for(Duration::from_millis(40));
    let ready = r#"firstbyte_upstream_connections{upstream="openai",state="ready"}"#;
    let opened = |fixture: &Fixture| fixture.upstream.log().connections.len();
    fixture.wait_until("sixteen and two ended in vain", |fixture| {
        opened(fixture) >= 16 && fixture.count(ready) == 0
    });
    assert!(opened(&fixture) <= 24, "{} connections in vain", opened(&fixture));
    let unconnected = r#"firstbyte_upstream_unconnected{upstream="openai"}"#;
    assert_eq!(fixture.count(unconnected), 0, "it rests, and nothing is wrong");
    for _ in 0..20 {
        let mut client = Client::connect(&fixture);
        client.ask("/v1/x", b"{}");
        assert!(client.answer().expect("an answer").whole);
    }
}

/// What is asked steadily is never too old, and nothing else is opened.
#[test]
fn a_connection_in_use_stays() {
    let fixture = held_for(Duration::from_secs(60));
    let mut client = Client::connect(&fixture);
    for _ in 0..200 {
        client.ask("/v1/x", b"{}");
        assert!(client.answer().expect("an answer").whole);
    }
    assert!(fixture.upstream.log().connections.len() <= 3);
}
