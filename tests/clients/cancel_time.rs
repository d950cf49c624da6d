//! How soon the upstream learns that a client has left.

use std::collections::HashMap;
use std::net::Shutdown;
use std::time::Duration;

use loadtest::upstream::{Builder, Script, Seen, Upstream, now_ns};

use crate::support::fixture::{Fixture, PATIENCE};
use crate::support::peers::{raw_http1, raw_http2};
use crate::support::size::{bound, quantile, size};

/// When the upstream would send again: who waits for that is told then.
const LATER: Duration = Duration::from_secs(15);

/// Where a client leaves.
const PLACES: [&str; 3] = ["before-head", "mid-stream", "whole"];

fn script(seen: &Seen) -> Script {
    let script = Script::new();
    let script = match seen.path_only().split('/').nth(2) {
        Some("before-head") => script.wait(LATER).stream(),
        Some("mid-stream") => script.stream().body("data: 1\n\n").wait(LATER),
        Some("whole") => {
            script.head(200, &[("content-length", "40")]).body("{\"half\":").wait(LATER)
        }
        _ => return Script::new().answer(200, &[], "{}"),
    };
    script.body("data: late\n\n").finish()
}

/// Leaves by the end of a connection, after `spare` bytes of a next request; when.
fn leave_http1(fixture: &Fixture, path: &str, spare: usize, begun: &str) -> u64 {
    let before = fixture.upstream.requests();
    let mut client = raw_http1::Client::connect(fixture);
    client.ask(path, b"{\"stream\":true}");
    fixture.wait_until("the upstream is asked", |f| f.upstream.requests() > before);
    assert!(begun.is_empty() || client.wait_for(begun));
    if spare > 0 {
        use std::io::Write;
        client.stream.write_all(&vec![b'G'; spare]).expect("the proxy reads");
    }
    let left = now_ns();
    client.stream.shutdown(Shutdown::Both).expect("the connection is open");
    left
}

/// Leaves by resetting a stream, on a connection that stays; when.
async fn leave_http2(
    fixture: &Fixture,
    client: &raw_http2::Client,
    path: &str,
    begun: &str,
) -> u64 {
    let before = fixture.upstream.requests();
    let answer = client.send(path, b"{\"stream\":true}").await;
    let asked = |f: &Fixture| f.upstream.requests() > before;
    fixture.wait_until_async("the upstream is asked", asked).await;
    if begun.is_empty() {
        let left = now_ns();
        drop(answer);
        client.flushed().await;
        return left;
    }
    let mut body = answer.await.expect("a head").into_body();
    raw_http2::next(&mut body).await.expect("an open stream").expect("a frame");
    let left = now_ns();
    drop(body);
    client.flushed().await;
    left
}

/// So many leave in each place, in each of three ways. How long until the upstream knew, by place and way.
fn leave_everywhere(upstream: Builder) -> HashMap<String, Vec<Duration>> {
    let each = size(200, 2_000);
    let fixture = Fixture::configured(upstream.respond(script), |config| {
        config.upstreams[0].pool.max_requests = 1_000_000;
    });
    let mut left = HashMap::new();
    for place in PLACES {
        let begun = match place {
            "mid-stream" => "data: 1",
            "whole" => "{\"half\":",
            _ => "",
        };
        for (way, spare) in [("close", 0), ("close-after-a-byte", 1)] {
            for nth in 0..each {
                let path = format!("/v1/{place}/{way}/{nth}");
                let at = leave_http1(&fixture, &path, spare, begun);
                left.insert(path, at);
            }
        }
        crate::support::size::block_on(async {
            let client = raw_http2::Client::connect(fixture.address()).await;
            for nth in 0..each {
                let path = format!("/v1/{place}/reset/{nth}");
                let at = leave_http2(&fixture, &client, &path, begun).await;
                left.insert(path, at);
            }
            // The last reset leaves with its connection at the latest.
        });
    }
    let gone = r#"firstbyte_stream_end_total{outcome="client_gone"}"#;
    fixture.wait_until("all are recorded", |f| f.count(gone) == left.len() as u64);
    let ended = |log: &loadtest::upstream::Log| log.open_requests() == 0;
    assert!(fixture.upstream.wait_for(ended, PATIENCE), "all are given up");
    let mut took: HashMap<String, Vec<Duration>> = HashMap::new();
    for seen in &fixture.upstream.log().requests {
        assert!(seen.was_cancelled(), "{}: {:?}", seen.path, seen.end);
        let ended = seen.end_ns.expect("it ended");
        let time = Duration::from_nanos(ended.saturating_sub(left[&seen.path]));
        let (group, _) = seen.path.rsplit_once('/').expect("a path of ours");
        took.entry(group.to_owned()).or_default().push(time);
    }
    assert_eq!(took.len(), 9);
    took
}

fn within_the_promise(upstream: Builder) {
    for (group, mut took) in leave_everywhere(upstream) {
        let [half, most] = [50, 99].map(|percent| quantile(&mut took, percent));
        println!("{group}: p50 {half:?}, p99 {most:?} of {}", took.len());
        // A cancel that waits for the upstream's next frame comes after LATER.
        assert!(took.iter().all(|took| *took < LATER / 2), "{group}: {:?}", took.last());
        assert!(
            half < bound(Duration::from_secs(1), Duration::from_millis(5)),
            "{group}: {half:?}"
        );
        assert!(most < bound(LATER / 2, Duration::from_millis(5)), "{group}: {most:?}");
    }
}

#[test]
fn an_http2_upstream_learns_at_once_that_a_client_has_left() {
    within_the_promise(Upstream::builder().http2());
}

#[test]
fn an_http1_upstream_learns_at_once_that_a_client_has_left() {
    within_the_promise(Upstream::builder().clear().http1());
}

/// Those who wait for a stream leave the queue, and the upstream never hears of them.
#[test]
fn a_hundred_who_leave_the_queue_are_never_asked_for() {
    let fixture = Fixture::configured(Upstream::builder().http2().respond(script), |config| {
        let pool = &mut config.upstreams[0].pool;
        (pool.min_connections, pool.max_connections, pool.streams_per_connection) = (1, 1, 1);
        pool.queue_timeout = Duration::from_secs(3600);
    });
    let mut holder = raw_http1::Client::connect(&fixture);
    holder.ask("/v1/mid-stream/holder", b"{}");
    assert!(holder.wait_for("data: 1"));
    let queued: Vec<_> = (0..100)
        .map(|nth| {
            let mut client = raw_http1::Client::connect(&fixture);
            client.ask(&format!("/v1/queued/{nth}"), b"{}");
            client
        })
        .collect();
    let waiting = r#"firstbyte_pool_waiting{upstream="openai"}"#;
    fixture.wait_until("all wait", |fixture| fixture.count(waiting) == 100);
    drop(queued);
    fixture.wait_until("the queue is empty", |fixture| fixture.count(waiting) == 0);
    drop(holder);
    let mut next = raw_http1::Client::connect(&fixture);
    next.ask("/v1/next", b"{}");
    assert_eq!(next.answer().expect("an answer").status, 200);
    assert_eq!(fixture.upstream.requests(), 2, "the holder and the next, nobody else");
}
