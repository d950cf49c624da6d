//! More streams at once than the warm connections carry: all are served, and the connections that were
//! opened for them are closed once they are idle.

use std::time::{Duration, Instant};

use firstbyte::config::{Config, Protocol};
use loadtest::upstream::{Builder, Log, Script, Upstream};

use crate::support::fixture::{Fixture, PATIENCE};
use crate::support::peers::raw_http1::Client;
use crate::support::size::{raise_descriptor_limit, size};

/// More than the two warm connections carry and a queue of a thousand holds.
const BURST: usize = 1_500;
/// As it was seen to fail.
const BURST_IN_FULL: usize = 4_000;

const WAITING: &str = r#"firstbyte_pool_waiting{upstream="openai"}"#;
const READY: &str = r#"firstbyte_upstream_connections{upstream="openai",state="ready"}"#;

fn upstream() -> Builder {
    let script = Script::new().stream().body("data: x\n\n").stall();
    Upstream::builder().clear().http2().stream_limit(100).log(false).script(script)
}

/// As by default, but for what a loaded machine needs more time for.
fn config(config: &mut Config) {
    let upstream = &mut config.upstreams[0];
    upstream.protocol = Protocol::Http2;
    upstream.deadlines.connect = PATIENCE * 3;
    upstream.pool.queue_timeout = PATIENCE * 3;
    upstream.pool.ping_after = PATIENCE * 3;
    upstream.pool.ping_interval = PATIENCE * 3;
}

fn clients(fixture: &Fixture, count: usize) -> Vec<Client> {
    (0..count).map(|_| Client::connect(fixture)).collect()
}

fn ask(clients: &mut [Client]) {
    for client in clients {
        client.ask("/v1/x", b"{}");
    }
}

/// Everybody's first byte.
fn served(clients: &mut [Client]) -> usize {
    let well = |client: &mut Client| {
        let head = client.wait_for("\r\n\r\n");
        head && client.unread().starts_with(b"HTTP/1.1 200") && client.wait_for("data: x")
    };
    clients.iter_mut().map(well).filter(|well| *well).count()
}

/// No connection opens before all of them wait: none can be served by one that opened for another.
#[test]
fn a_burst_of_thousands_on_a_warm_process_waits_for_connections_and_nobody_is_refused() {
    raise_descriptor_limit();
    let fixture = Fixture::configured(upstream(), config);
    let count = size(BURST, BURST_IN_FULL);
    let mut clients = clients(&fixture, count);
    fixture.upstream.freeze();
    ask(&mut clients);
    let told = |fixture: &Fixture| {
        let refused = fixture.count(r#"firstbyte_stream_end_total{outcome="refused"}"#);
        (fixture.count(WAITING), refused)
    };
    fixture.wait_until("all wait that no stream is free for", |fixture| {
        let (waiting, refused) = told(fixture);
        waiting + refused == (count - 2 * 64) as u64
    });
    assert_eq!(told(&fixture).1, 0, "refused");
    fixture.upstream.thaw();
    assert_eq!(served(&mut clients), count);
    assert_eq!(fixture.count(WAITING), 0);
    let connections = fixture.count(READY) as usize;
    assert!(connections * 64 >= count && connections <= 64, "{connections} connections");
}

/// What waits for more than the pool can carry gets its 503 after the time that it may wait, and no sooner.
#[test]
fn who_cannot_be_carried_waits_for_the_whole_queue_timeout() {
    let wait = Duration::from_secs(1);
    let fixture = Fixture::configured(upstream(), |settings| {
        config(settings);
        let pool = &mut settings.upstreams[0].pool;
        (pool.max_connections, pool.streams_per_connection, pool.queue_timeout) = (2, 2, wait);
    });
    let mut clients = clients(&fixture, 40);
    let begun = Instant::now();
    ask(&mut clients);
    assert_eq!(served(&mut clients), 4);
    assert!(begun.elapsed() >= wait);
    let late = r#"firstbyte_shed_total{reason="queue_timeout"}"#;
    assert_eq!(fixture.count(late), 36);
}

#[test]
fn connections_that_a_burst_left_behind_are_closed_once_they_are_idle() {
    for upward in [Protocol::Http2, Protocol::Http1] {
        let script = Script::new().stream().body("data: x\n\n").stall();
        let upstream = Upstream::builder().clear().script(script);
        let upstream = if upward == Protocol::Http2 { upstream.http2() } else { upstream.http1() };
        let fixture = Fixture::configured(upstream, |config| {
            let upstream = &mut config.upstreams[0];
            upstream.protocol = upward;
            upstream.pool.streams_per_connection = 4;
            upstream.pool.idle = Duration::from_millis(300);
        });
        let mut first = clients(&fixture, 1);
        first[0].ask("/v1/first", b"{}");
        assert_eq!(served(&mut first), 1);
        let mut burst = clients(&fixture, 39);
        ask(&mut burst);
        assert_eq!(served(&mut burst), 39);
        assert!(fixture.count(READY) >= 10);
        // One goes on. Of the connections that carry nothing those are kept that would be opened again.
        drop(burst);
        let kept = if upward == Protocol::Http2 { 2 } else { 3 };
        fixture.wait_until("the others are closed", |fixture| fixture.count(READY) == kept);
        let closed = |log: &Log| log.open_connections() == kept as usize;
        assert!(
            fixture.upstream.wait_for(closed, PATIENCE),
            "{}",
            fixture.upstream.log().open_connections()
        );
        let requests = fixture.upstream.log().requests;
        let cut = requests.iter().filter(|seen| seen.path == "/v1/first" && seen.end.is_some());
        assert_eq!(cut.count(), 0, "the stream that goes on is not touched");
    }
}
