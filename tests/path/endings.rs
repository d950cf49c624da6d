//! Where an HTTP/1.1 answer ends: by its status, its method, its length, its chunks, its trailers. The
//! next answer on the connection tells whether both sides understood it alike.

use std::time::Duration;

use firstbyte::config::Protocol;
use loadtest::upstream::{Log, Script, Upstream};

use crate::support::fixture::{Fixture, PATIENCE};
use crate::support::message::{Ask, Length};
use crate::support::peers::http1_client::Http1;
use crate::support::peers::raw_http1::{Client, line};
use crate::support::peers::raw_upstream::{Reply, frame, http1, http2, lead_to};

fn before(upstream: std::net::SocketAddr, protocol: Protocol) -> Fixture {
    Fixture::configured(Upstream::builder().clear(), |config| lead_to(config, upstream, protocol))
}

#[test]
fn an_answer_of_204_tells_no_length_whatever_the_upstream_says() {
    let upstream = http1(|path| {
        let text = if path == "/v1/none" {
            "HTTP/1.1 204 No Content\r\ncontent-length: 5\r\n\r\n"
        } else {
            "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"
        };
        Reply { bytes: text.into(), close: path == "/v1/none" }
    });
    let fixture = before(upstream, Protocol::Http1);
    let mut client = Client::connect(&fixture);
    for _ in 0..2 {
        client.ask("/v1/none", b"");
        let head = client.head().expect("an answer");
        assert!(head.starts_with("HTTP/1.1 204 "), "{head}");
        assert_eq!(line(&head, "content-length"), None);
        client.ask("/v1/some", b"");
        assert_eq!(client.answer().expect("an answer").text(), "{}");
    }
}

#[test]
fn what_an_http1_upstream_sends_beyond_its_length_goes_to_nobody() {
    let upstream = http1(|_| {
        Reply {
        bytes: b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhelloHTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil".into(),
        close: false,
    }
    });
    let fixture = before(upstream, Protocol::Http1);
    let mut client = Client::connect(&fixture);
    for _ in 0..5 {
        client.ask("/v1/x", b"");
        let answer = client.answer().expect("an answer");
        assert_eq!((answer.text(), answer.whole), ("hello".to_owned(), true));
    }
    assert_eq!(fixture.access_log().len(), 5);
}

/// HEADERS with `content-length: 5`, then DATA of `length` bytes that ends the stream.
fn sized(stream: u32, length: usize) -> Vec<u8> {
    // RFC 7541, appendix A: 8 is `:status: 200`, 28 `content-length`.
    let head = frame(1, 4, stream, &[0x88, 0x0f, 0x0d, 1, b'5']);
    [head, frame(0, 1, stream, &vec![b'x'; length])].concat()
}

#[test]
fn an_http2_answer_that_is_not_as_long_as_it_says_has_no_end() {
    for length in [0, 4, 6, 5] {
        let upstream = http2(move |_, stream| Reply { bytes: sized(stream, length), close: false });
        let fixture = before(upstream, Protocol::Http2);
        let mut client = Client::connect(&fixture);
        client.ask("/v1/x", b"");
        let answer = client.answer();
        let whole = answer.is_some_and(|answer| answer.status == 200 && answer.whole);
        assert_eq!(whole, length == 5, "{length} bytes instead of 5");
    }
}

#[test]
fn trailers_come_down_to_who_reads_them_and_the_connection_stays() {
    for upstream in [Upstream::builder().http2(), Upstream::builder().clear().http1()] {
        let script = Script::new()
            .stream()
            .body("data: x\n\n")
            .trailers(&[("x-sum", "42"), ("x-more", "43")]);
        let fixture = Fixture::start(upstream.script(script));
        let mut client = Http1::new(fixture.connect());
        for asks in [true, false, true] {
            let ask = Ask::get("/v1/x");
            let ask = if asks { ask.header("te", "trailers") } else { ask };
            let answer = client.ask(&ask);
            assert_eq!(answer.body(), b"data: x\n\n");
            let sums: Vec<_> = answer.trailers.iter().map(|(_, value)| value.as_str()).collect();
            assert_eq!(sums, if asks { &["42", "43"][..] } else { &[] });
        }
    }
}

/// Trailers come behind everything that was decided by the head, and may not decide it again.
#[test]
fn trailers_that_would_frame_route_or_authenticate_go_no_further() {
    let script = Script::new().stream().body("data: x\n\n");
    let lines = [("content-length", "3"), ("set-cookie", "a=b"), ("x-sum", "42")];
    let fixture = Fixture::start(Upstream::builder().http2().script(script.trailers(&lines)));
    let mut client = Http1::new(fixture.connect());
    let mut ask = Ask::post("/v1/x", "").header("te", "trailers");
    for name in ["authorization", "host", "Connection", "Transfer-Encoding", "Content-Length"] {
        ask = ask.trailer(name, "x-other");
    }
    let answer = client.ask(&ask.trailer("x-other", "1").trailer("x-up", "2"));
    assert_eq!(answer.trailers, [("x-sum".to_owned(), "42".to_owned())]);
    let log = fixture.upstream.log();
    let up: Vec<_> = log.requests[0].trailers.iter().map(|line| line.name.clone()).collect();
    assert_eq!(up, ["x-up"]);
}

/// A connection that carries a request as the drain begins is told with the answer that it closes; the
/// request that was read is answered whole.
#[test]
fn a_drain_tells_the_connections_that_carry_a_request() {
    let script = Script::new().await_body().answer(200, &[], "{}");
    let fixture = Fixture::start(Upstream::builder().script(script));
    let mut client = Http1::new(fixture.connect());
    let ask = Ask::post("/v1/x", "body").body(vec!["body".into()], Length::Known);
    let first = client.ask(&ask);
    assert_eq!((first.status, first.header("connection")), (200, None));
    client.send_head(&ask);
    let begun = |log: &Log| log.requests.len() == 2;
    assert!(fixture.upstream.wait_for(begun, PATIENCE), "the second begins");
    fixture.proxy.drain();
    // The admin listener says when it has begun.
    fixture.wait_until("it drains", |fixture| fixture.admin("/readyz").0 == 503);
    client.send_piece(&ask, b"body");
    let last = client.answer(&ask);
    assert_eq!((last.status, last.header("connection")), (200, Some("close")));
    client.assert_closed();
}

/// An upstream that answers before it has the body, and a client that sends on: the answer is whole, the
/// rest is let by, and the next request is read where it begins.
#[test]
fn an_early_answer_is_whole_and_the_body_behind_it_is_let_by() {
    let script = Script::new().early().wait(Duration::from_millis(5)).answer(429, &[], "slow down");
    let fixture = Fixture::start(Upstream::builder().script(script));
    let mut client = Http1::new(fixture.connect());
    for length in [Length::Known, Length::Unknown, Length::Known] {
        let piece = bytes::Bytes::from(vec![b'x'; 4096]);
        let ask = Ask::post("/v1/x", "").body(vec![piece; 20], length);
        client.send_head(&ask);
        let answer = client.answer(&ask);
        assert_eq!((answer.status, &answer.body()[..]), (429, &b"slow down"[..]));
        for piece in &ask.pieces {
            client.send_piece(&ask, piece);
        }
        client.send_end(&ask);
    }
}
