//! What an upstream of HTTP/1.1 is sent, byte by byte.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;

use firstbyte::config::{Config, Protocol};
use loadtest::upstream::Upstream;

use crate::support::fixture::{Fixture, PATIENCE};
use crate::support::message::{Ask, Length};
use crate::support::peers::http1_client::Http1;
use crate::support::peers::http2_client::Http2;
use crate::support::peers::raw_http1::{Client, line};
use crate::support::peers::raw_upstream::{lead_to, serve};

const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

/// Reads until `end` is there; false if the connection ended first.
fn until(stream: &mut TcpStream, read: &mut Vec<u8>, end: &[u8]) -> bool {
    while !read.windows(end.len()).any(|window| window == end) {
        let mut chunk = [0; 4096];
        match stream.read(&mut chunk) {
            Ok(0) | Err(_) => return false,
            Ok(length) => read.extend_from_slice(&chunk[..length]),
        }
    }
    true
}

/// An upstream that tells what it read of each request once `end` is there, and answers.
fn telling(end: &'static [u8]) -> (SocketAddr, Receiver<String>) {
    let (tell, told) = sync_channel(64);
    let address = serve(move |stream| {
        let mut read = Vec::new();
        while until(stream, &mut read, end) {
            let text = String::from_utf8(std::mem::take(&mut read)).expect("text");
            if tell.send(text).is_err() || stream.write_all(OK).is_err() {
                return;
            }
        }
    });
    (address, told)
}

fn before(upstream: SocketAddr) -> Fixture {
    changed(upstream, |_| {})
}

fn changed(upstream: SocketAddr, change: impl FnOnce(&mut Config)) -> Fixture {
    Fixture::configured(Upstream::builder().clear(), |config| {
        lead_to(config, upstream, Protocol::Http1);
        change(config);
    })
}

fn next(told: &Receiver<String>) -> String {
    told.recv_timeout(PATIENCE).expect("the upstream is asked")
}

/// nginx and `HAProxy` pass them, and scripts rely on it.
#[test]
fn characters_that_no_uri_may_have_pass_as_they_are() {
    let (upstream, told) = telling(b"\r\n\r\n");
    for (base, prefix) in [("/v1", "/v1"), ("", "/v1"), ("/openai/v1", "/openai/v1")] {
        let fixture = changed(upstream, |config| config.upstreams[0].base_path = base.into());
        for (method, rest) in [
            ("GET", "/files?after=\"x\"&f=<a>"),
            ("GET", "/<files>/`x`?`"),
            ("DELETE", "/\"a\"/%22?%3C"),
            ("GET", "?\"<>`"),
        ] {
            let mut client = Client::connect(&fixture);
            let head =
                format!("{method} /v1{rest} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
            client.stream.write_all(head.as_bytes()).expect("the proxy reads");
            assert_eq!(client.answer().expect("an answer").status, 200, "{rest}");
            let head = next(&told);
            let first = head.lines().next().expect("a line");
            assert_eq!(first, format!("{method} {prefix}{rest} HTTP/1.1"));
        }
    }
}

/// What a decoder would read leads out of the route as before.
#[test]
fn raw_characters_do_not_hide_a_way_out_of_the_route() {
    let (upstream, _told) = telling(b"\r\n\r\n");
    let fixture = before(upstream);
    for target in ["/v1/<a>/../../admin", "/v1/%2e%2e/\"x\"", "/admin?<"] {
        let mut client = Client::connect(&fixture);
        let head = format!("GET {target} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
        client.stream.write_all(head.as_bytes()).expect("the proxy reads");
        let status = client.answer().expect("an answer").status;
        assert!((400..500).contains(&status), "{target}: {status}");
    }
}

/// Without one an upstream would answer 411, or wait.
#[test]
fn a_request_whose_body_is_empty_keeps_a_framing() {
    let (upstream, told) = telling(b"\r\n\r\n");
    let fixture = before(upstream);
    let lines =
        ["transfer-encoding: chunked\r\n\r\n0\r\n\r\n", "content-length: 0\r\n\r\n", "\r\n"];
    for (method, lines, length) in [
        ("POST", lines[0], Some("0")),
        ("POST", lines[1], Some("0")),
        ("PUT", lines[2], Some("0")),
        ("GET", lines[1], Some("0")),
        ("GET", lines[2], None),
    ] {
        let mut client = Client::connect(&fixture);
        let head = format!("{method} /v1/x HTTP/1.1\r\nhost: a\r\nconnection: close\r\n{lines}");
        client.stream.write_all(head.as_bytes()).expect("the proxy reads");
        assert_eq!(client.answer().expect("an answer").status, 200, "{method} {lines:?}");
        let head = next(&told);
        assert_eq!(line(&head, "content-length"), length, "{method} {lines:?}: {head}");
        assert_eq!(line(&head, "transfer-encoding"), None);
    }
    // Over HTTP/2 nothing says it but the end of the stream.
    let mut client = Http2::connect(fixture.address());
    assert_eq!(client.ask(&Ask::get("/v1/x").method("POST")).status, 200);
    assert_eq!(line(&next(&told), "content-length"), Some("0"));
}

#[test]
fn a_body_whose_length_is_not_known_goes_up_in_chunks_and_ends() {
    let (upstream, told) = telling(b"\r\n0\r\n\r\n");
    let fixture = before(upstream);
    let mut client = Http1::new(fixture.connect());
    let ask = Ask::post("/v1/x", "").body(vec!["hello ".into(), "world".into()], Length::Unknown);
    for _ in 0..3 {
        assert_eq!(client.ask(&ask).status, 200);
        let request = next(&told);
        let (head, body) = request.split_once("\r\n\r\n").expect("a head");
        assert_eq!(line(head, "transfer-encoding"), Some("chunked"));
        let text: String = body
            .split("\r\n")
            .filter(|line| !line.is_empty() && usize::from_str_radix(line, 16).is_err())
            .collect();
        assert_eq!(text, "hello world");
    }
    // Trailers go no further.
    let mut client = Http1::new(fixture.connect());
    assert_eq!(client.ask(&ask.trailer("x-sum", "1")).status, 200);
    assert!(!next(&told).contains("x-sum"));
}

/// Head and body leave together where both are here.
#[test]
fn a_small_request_leaves_in_one_write() {
    let (tell, told) = sync_channel(64);
    let upstream = serve(move |stream| {
        let mut chunk = vec![0; 64 * 1024];
        while let Ok(length @ 1..) = stream.read(&mut chunk) {
            if tell.send(length).is_err() || stream.write_all(OK).is_err() {
                return;
            }
        }
    });
    let fixture = before(upstream);
    let mut client = Client::connect(&fixture);
    for _ in 0..10 {
        client.ask("/v1/x", &[b'x'; 2000]);
        assert_eq!(client.answer().expect("an answer").text(), "ok");
        assert!(told.recv_timeout(PATIENCE).expect("it is asked") > 2000);
    }
}

/// An upstream that answers piece by piece to what it reads piece by piece.
#[test]
fn a_body_goes_up_while_its_answer_comes_down() {
    let upstream = serve(|stream| {
        let mut read = Vec::new();
        if !until(stream, &mut read, b"\r\n\r\n") {
            return;
        }
        let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n";
        if stream.write_all(head.as_bytes()).is_err() {
            return;
        }
        let mut chunk = [0; 4096];
        let mut seen = 0;
        while seen < 10 {
            let Ok(length @ 1..) = stream.read(&mut chunk) else { return };
            let pieces = chunk[..length].split(|byte| *byte == b'!').count() - 1;
            seen += pieces;
            if stream.write_all("2\r\nok\r\n".repeat(pieces).as_bytes()).is_err() {
                return;
            }
        }
        let _last = stream.write_all(b"0\r\n\r\n");
        // Its side of the body is still open.
        let _gone = stream.read(&mut chunk);
    });
    let fixture = before(upstream);
    for length in [Length::Known, Length::Unknown] {
        let ask = Ask::post("/v1/x", "").body(vec!["a piece!".into(); 10], length);
        let mut client = Http1::new(fixture.connect());
        client.send_head(&ask);
        let mut answer = client.head(&ask);
        for piece in &ask.pieces {
            client.send_piece(&ask, piece);
            let came = client.piece(&mut answer).expect("a piece for a piece");
            assert_eq!(&came[..], b"ok");
        }
        client.send_end(&ask);
        assert_eq!(client.piece(&mut answer), None, "the end comes down");
    }
}

/// An upload that the upstream does not read holds nothing but itself: its answer's deadline still runs.
#[test]
fn an_upstream_that_reads_nothing_is_given_up_and_its_connection_closed() {
    let (go_on, gone_on) = sync_channel::<()>(1);
    let (tell, told) = sync_channel(1);
    let waits = std::sync::Arc::new(std::sync::Mutex::new(gone_on));
    let upstream = serve(move |stream| {
        let mut read = Vec::new();
        if until(stream, &mut read, b"\r\n\r\n") {
            let _answered = waits.lock().expect("one at a time").recv_timeout(PATIENCE);
            // Everything that the kernel took, and then the end.
            while matches!(stream.read(&mut vec![0; 64 * 1024]), Ok(1..)) {}
            let _test_is_over = tell.send(());
        }
    });
    let fixture = changed(upstream, |config| {
        config.upstreams[0].deadlines.response_head = Duration::from_millis(200);
    });
    let piece = bytes::Bytes::from(vec![b'x'; 64 * 1024]);
    let ask = Ask::post("/v1/x", "").body(vec![piece; 4], Length::Known);
    assert_eq!(Http1::new(fixture.connect()).ask(&ask).status, 504);
    go_on.send(()).expect("it waits");
    told.recv_timeout(PATIENCE).expect("the upstream's connection is closed");
}
