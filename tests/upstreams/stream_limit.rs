//! An upstream that allows few streams at once: everybody is served, and its limit never met.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use firstbyte::config::{Config, Protocol};
use loadtest::upstream::{Log, Script, Upstream};

use crate::support::fixture::{Fixture, PATIENCE};
use crate::support::peers::raw_http2;
use crate::support::peers::raw_upstream::{Reply, frame, http2_frames, lead_to};

/// Long streams, which all begin together.
const STREAMS: usize = 100;

fn patient(config: &mut Config) {
    config.upstreams[0].pool.queue_timeout = Duration::from_secs(60);
}

/// Asks for `count` streams at once on few connections; how many ended whole.
async fn ask_at_once(fixture: &Fixture, count: usize) -> usize {
    let mut asked = Vec::new();
    for _ in 0..count.div_ceil(50) {
        let client = raw_http2::Client::connect(fixture.address()).await;
        for _ in 0..count.min(50) {
            let client = client.clone();
            asked.push(tokio::spawn(async move { client.ask("/v1/long", b"{}").await }));
        }
    }
    let mut whole = 0;
    for asked in asked {
        let answer = asked.await.expect("no panic").expect("a head");
        assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
        whole += usize::from(answer.cut.is_none() && answer.body.ends_with(b"data: [DONE]\n\n"));
    }
    whole
}

/// All of `STREAMS` are served with at most `limit` at once on a connection; the log.
fn serve_all(limit: u32, connections: usize) -> Log {
    let script = Script::new().stream().tokens(10, Duration::from_millis(10)).done();
    let upstream = Upstream::builder().http2().stream_limit(limit).script(script);
    let fixture = Fixture::configured(upstream, |config| {
        patient(config);
        config.upstreams[0].pool.max_connections = connections;
    });
    let whole = raw_http2::block_on(ask_at_once(&fixture, STREAMS));
    assert_eq!(whole, STREAMS, "everybody is served");
    let log = fixture.upstream.log();
    assert_eq!(log.requests.len(), STREAMS, "and nobody twice");
    for connection in &log.connections {
        assert_eq!(connection.refused, 0, "no stream was one too many");
        assert!(connection.peak_streams <= limit as usize, "{}", connection.peak_streams);
        assert_eq!(connection.closed, None);
    }
    for line in fixture.access_log() {
        assert_eq!((&line["outcome"], &line["replays"]), (&"complete".into(), &0.into()), "{line}");
    }
    log
}

#[test]
fn a_hundred_long_streams_pass_through_a_limit_of_eight() {
    let log = serve_all(8, 64);
    assert!(log.connections.len() > 2, "the pool grows rather than lets wait");
}

#[test]
fn a_hundred_long_streams_take_turns_on_two_connections() {
    let log = serve_all(8, 2);
    assert_eq!(log.connections.len(), 2);
}

#[test]
fn a_limit_of_one_serves_one_after_the_other() {
    let log = serve_all(1, 4);
    assert!(log.connections.iter().any(|connection| connection.peak_streams == 1));
}

/// `SETTINGS_MAX_CONCURRENT_STREAMS` (RFC 9113, section 6.5.2).
fn limit(streams: u32) -> Vec<u8> {
    frame(4, 0, 0, &[&[0, 3], &streams.to_be_bytes()[..]].concat())
}

/// Six streams are open under a limit of eight when it becomes two; five of them end.
#[test]
fn a_limit_that_shrinks_is_kept_and_one_that_grows_is_used() {
    let worst = Arc::new(AtomicUsize::new(0));
    let raise = Arc::new(AtomicBool::new(false));
    let (seen, raised) = (Arc::clone(&worst), Arc::clone(&raise));
    let (mut open, mut settled, mut phase) = (Vec::new(), 0, 0);
    let upstream = http2_frames(&limit(8), move |kind, flags, stream, payload| {
        let mut bytes = Vec::new();
        match (kind, flags & 1) {
            (4, 0) => bytes.extend(frame(4, 1, 0, b"")),
            (4, 1) => settled += 1,
            (6, 0) => bytes.extend(frame(6, 1, 0, payload)),
            (0 | 1, 1) => open.push(stream),
            _ => {}
        }
        match phase {
            0 if open.len() == 6 => bytes.extend(limit(2)),
            // Acknowledged: from here on the smaller limit counts.
            1 if settled == 2 => bytes.extend(answer(open.drain(..5))),
            2 if raised.load(Ordering::Relaxed) => bytes.extend(limit(8)),
            2 => {
                seen.fetch_max(open.len(), Ordering::Relaxed);
                return Reply { bytes, close: false };
            }
            3 => {
                bytes.extend(answer(open.drain(..)));
                return Reply { bytes, close: false };
            }
            _ => return Reply { bytes, close: false },
        }
        phase += 1;
        Reply { bytes, close: false }
    });
    let fixture = Fixture::configured(Upstream::builder().clear(), |config| {
        lead_to(config, upstream, Protocol::Http2);
        patient(config);
        let pool = &mut config.upstreams[0].pool;
        (pool.min_connections, pool.max_connections) = (1, 1);
        // Each PING gives this upstream a turn.
        pool.ping_interval = Duration::from_millis(50);
        pool.ping_timeout = PATIENCE;
    });
    let whole = raw_http2::block_on(async {
        let asked = ask_at_once(&fixture, 10);
        let watch = async {
            // Two are open and five are answered; the others wait with us, where waiting is bounded,
            // and not inside of h2.
            let waiting = r#"firstbyte_pool_waiting{upstream="openai"}"#;
            fixture.wait_until_async("three wait", |f| f.count(waiting) == 3).await;
            raise.store(true, Ordering::Relaxed);
        };
        tokio::join!(asked, watch).0
    });
    assert_eq!(whole, 10);
    assert_eq!(worst.load(Ordering::Relaxed), 2, "streams open at once under a limit of two");
}

fn answer(streams: impl Iterator<Item = u32>) -> Vec<u8> {
    let answers = streams.flat_map(|stream| {
        [frame(1, 4, stream, &[0x88]), frame(0, 1, stream, b"data: [DONE]\n\n")].concat()
    });
    answers.collect()
}
