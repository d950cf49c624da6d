//! Clients that leave: whatever they left in the middle of is given up upstream at once, and nobody
//! else notices.

use std::io::Write;
use std::net::Shutdown;
use std::time::Duration;

use firstbyte::config::Config;
use loadtest::upstream::{Builder, End, Log, RequestSeen, Script, Seen, Step, Upstream};

use crate::support::fixture::{Fixture, PATIENCE};
use crate::support::peers::{raw_http1, raw_http2};

/// How long after a client left the upstream would send its next frame.
const LATER: Duration = Duration::from_secs(10);

/// Where a client leaves.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Window {
    /// While it still sends its request.
    Uploading,
    /// Before the head of a stream.
    BeforeHead,
    /// In the middle of a stream.
    MidStream,
    /// In the middle of an answer that is no stream.
    Whole,
}

const WINDOWS: [Window; 4] =
    [Window::Uploading, Window::BeforeHead, Window::MidStream, Window::Whole];

/// How a client leaves.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Way {
    /// HTTP/1.1: closes its sending side, after `spare` bytes of a next request.
    Fin { spare: usize },
    /// HTTP/1.1: breaks the connection, after `spare` bytes of a next request.
    Rst { spare: usize },
    /// HTTP/2: resets the stream, and keeps the connection.
    Reset,
    /// HTTP/2: closes the connection.
    Close,
}

const WAYS: [Way; 7] = [
    Way::Fin { spare: 0 },
    Way::Fin { spare: 1 },
    Way::Rst { spare: 0 },
    Way::Rst { spare: 1 },
    Way::Rst { spare: 100 },
    Way::Reset,
    Way::Close,
];

fn script(seen: &Seen) -> Script {
    let script = Script::new();
    let script = match seen.path_only().split('/').nth(2) {
        Some("Uploading") => return script.early().wait(LATER).stream().finish(),
        Some("BeforeHead") => script.wait(LATER).stream(),
        Some("MidStream") => script.stream().body("data: 1\n\n").wait(LATER),
        Some("Whole") => {
            script.head(200, &[("content-length", "20")]).body("{\"half\":").wait(LATER)
        }
        Some("Done") => script.stream().body("data: 1\n\n").step(Step::Done).wait(LATER),
        _ => return Script::new().answer(200, &[], "{}"),
    };
    script.body("data: late\n\n").finish()
}

/// The request of this path, if the upstream has seen it.
fn of<'a>(log: &'a Log, path: &str) -> Option<&'a RequestSeen> {
    log.requests.iter().find(|request| request.path == path)
}

fn leave_http1(fixture: &Fixture, path: &str, window: Window, spare: usize, rst: bool) {
    let mut client = raw_http1::Client::connect(fixture);
    if window == Window::Uploading {
        write!(
            client.stream,
            "POST {path} HTTP/1.1\r\nhost: p\r\ncontent-length: 1000\r\n\r\n{{\"a\":"
        )
        .expect("the proxy reads");
    } else {
        client.ask(path, b"{\"stream\":true}");
        client.stream.write_all(&vec![b'G'; spare]).expect("the proxy reads");
    }
    let begun = |log: &Log| of(log, path).is_some();
    assert!(fixture.upstream.wait_for(begun, PATIENCE), "{path}: the upstream is asked");
    match window {
        Window::MidStream => assert!(client.wait_for("data: 1")),
        Window::Whole => assert!(client.wait_for("{\"half\":")),
        Window::Uploading | Window::BeforeHead => {}
    }
    if rst {
        let socket = socket2::SockRef::from(&client.stream);
        socket.set_linger(Some(Duration::ZERO)).expect("linger can be set");
        drop(client);
    } else {
        client.stream.shutdown(Shutdown::Write).expect("the connection is open");
    }
    wait_cancelled(fixture, path);
}

fn leave_http2(fixture: &Fixture, path: &str, window: Window, close: bool) {
    raw_http2::block_on(async {
        let client = raw_http2::Client::connect(fixture.address()).await;
        let (answer, upload) = if window == Window::Uploading {
            let (answer, upload) = client.begin(path, b"{\"a\":").await;
            (answer, Some(upload))
        } else {
            (client.send(path, b"{\"stream\":true}").await, None)
        };
        let begun = |log: &Log| of(log, path).is_some();
        assert!(fixture.upstream.seen(begun, PATIENCE).await, "{path}: the upstream is asked");
        if matches!(window, Window::MidStream | Window::Whole) {
            let mut body = answer.await.expect("a head").into_body();
            raw_http2::next(&mut body).await.expect("an open stream").expect("a frame");
        } else {
            drop(answer);
        }
        drop(upload); // the last handle: h2 resets the stream
        if !close {
            let gone = |log: &Log| of(log, path).is_some_and(|seen| seen.end.is_some());
            assert!(fixture.upstream.seen(gone, PATIENCE).await, "{path} is given up");
        }
    });
    wait_cancelled(fixture, path);
}

/// The upstream was told while it waited to send on.
fn wait_cancelled(fixture: &Fixture, path: &str) {
    let gone = |log: &Log| of(log, path).is_some_and(|seen| seen.end.is_some());
    assert!(fixture.upstream.wait_for(gone, PATIENCE), "{path} is given up");
    let log = fixture.upstream.log();
    let seen = of(&log, path).expect("it was seen");
    assert!(seen.was_cancelled(), "{path}: {:?}", seen.end);
    let took = Duration::from_nanos(seen.end_ns.unwrap_or(0) - seen.head_ns);
    assert!(took < LATER / 2, "{path}: told only when it sent on, after {took:?}");
}

fn leave_in_every_window(upstream: Builder, over_http2: bool) {
    let fixture = Fixture::start(upstream.respond(script));
    let mut paths = Vec::new();
    for window in WINDOWS {
        for way in WAYS {
            let path = format!("/v1/{window:?}/{}", paths.len());
            match way {
                // A byte too many would be one of the body's.
                Way::Fin { spare: 1.. } | Way::Rst { spare: 1.. }
                    if window == Window::Uploading =>
                {
                    continue;
                }
                Way::Fin { spare } => leave_http1(&fixture, &path, window, spare, false),
                Way::Rst { spare } => leave_http1(&fixture, &path, window, spare, true),
                Way::Reset => leave_http2(&fixture, &path, window, false),
                Way::Close => leave_http2(&fixture, &path, window, true),
            }
            paths.push(path);
        }
    }
    if over_http2 {
        let log = fixture.upstream.log();
        for request in &log.requests {
            assert_eq!(request.end, Some(End::Reset { code: 8 }), "{}: CANCEL", request.path);
        }
        assert!(log.connections.iter().all(|connection| connection.closed.is_none()));
    }
    let lines = fixture.access_log();
    assert_eq!(lines.len(), paths.len(), "each request is recorded once");
    for line in lines {
        assert_eq!(line["outcome"], "client_gone", "{line}");
    }
}

#[test]
fn a_client_that_leaves_is_left_by_the_http2_upstream_at_once() {
    leave_in_every_window(Upstream::builder().http2(), true);
}

#[test]
fn a_client_that_leaves_is_left_by_the_http1_upstream_at_once() {
    leave_in_every_window(Upstream::builder().clear().http1(), false);
}

/// One stream, and everybody else waits for it.
fn one_stream(config: &mut Config) {
    let pool = &mut config.upstreams[0].pool;
    pool.min_connections = 1;
    pool.max_connections = 1;
    pool.streams_per_connection = 1;
    pool.queue_timeout = Duration::from_secs(60);
}

fn leave_the_queue(upstream: Builder) {
    let fixture = Fixture::configured(upstream.respond(script), one_stream);
    let waiting = r#"firstbyte_pool_waiting{upstream="openai"}"#;
    let mut holder = raw_http1::Client::connect(&fixture);
    holder.ask("/v1/MidStream/holder", b"{}");
    assert!(holder.wait_for("data: 1"));
    for (nth, way) in WAYS.into_iter().enumerate() {
        let path = format!("/v1/queued/{nth}");
        let queued = |fixture: &Fixture| fixture.count(waiting) > 0;
        let empty = |fixture: &Fixture| fixture.count(waiting) == 0;
        let gone = format!("{way:?} frees the place in the queue");
        match way {
            Way::Fin { spare } | Way::Rst { spare } => {
                let mut client = raw_http1::Client::connect(&fixture);
                client.ask(&path, b"{}");
                client.stream.write_all(&vec![b'G'; spare]).expect("the proxy reads");
                fixture.wait_until("the request waits", queued);
                if matches!(way, Way::Rst { .. }) {
                    let socket = socket2::SockRef::from(&client.stream);
                    socket.set_linger(Some(Duration::ZERO)).expect("linger can be set");
                    drop(client);
                } else {
                    client.stream.shutdown(Shutdown::Write).expect("the connection is open");
                }
                fixture.wait_until(&gone, empty);
            }
            Way::Reset | Way::Close => raw_http2::block_on(async {
                let client = raw_http2::Client::connect(fixture.address()).await;
                let answer = client.send(&path, b"{}").await;
                client.flushed().await;
                fixture.wait_until("the request waits", queued);
                drop(answer);
                if way == Way::Reset {
                    client.flushed().await;
                    fixture.wait_until(&gone, empty);
                }
            }),
        }
        fixture.wait_until(&gone, empty);
    }
    // Whose turn had come meanwhile was not asked for.
    drop(holder);
    let mut next = raw_http1::Client::connect(&fixture);
    next.ask("/v1/next", b"{}");
    assert_eq!(next.answer().expect("an answer").status, 200);
    let asked: Vec<_> = fixture.upstream.log().requests.into_iter().map(|seen| seen.path).collect();
    assert_eq!(asked, ["/v1/MidStream/holder", "/v1/next"]);
    drop(next);
    for line in fixture.access_log() {
        let expected = if line["path"] == "/v1/next" { "complete" } else { "client_gone" };
        assert_eq!(line["outcome"], expected, "{line}");
    }
}

#[test]
fn a_client_that_leaves_the_queue_for_an_http2_stream_is_never_sent_up() {
    leave_the_queue(Upstream::builder().http2());
}

#[test]
fn a_client_that_leaves_the_queue_for_an_http1_connection_is_never_sent_up() {
    leave_the_queue(Upstream::builder().clear().http1());
}

#[test]
fn a_client_that_closes_right_after_done_has_had_it_all() {
    let fixture = Fixture::start(Upstream::builder().respond(script));
    let mut client = raw_http1::Client::connect(&fixture);
    client.ask("/v1/Done/http1", b"{}");
    assert!(client.wait_for("data: [DONE]\n\n"));
    drop(client);
    wait_cancelled(&fixture, "/v1/Done/http1");
    raw_http2::block_on(async {
        let client = raw_http2::Client::connect(fixture.address()).await;
        let mut body =
            client.send("/v1/Done/http2", b"{}").await.await.expect("a head").into_body();
        let mut read = Vec::new();
        while !read.ends_with(b"data: [DONE]\n\n") {
            read.extend(
                raw_http2::next(&mut body).await.expect("an open stream").expect("a frame"),
            );
        }
    });
    wait_cancelled(&fixture, "/v1/Done/http2");
    for line in fixture.access_log() {
        assert_eq!(line["outcome"], "complete", "{line}");
    }
}
