//! What an upstream of HTTP/1.1 may answer, byte by byte, and what is refused: two readers of it must not see two
//! answers.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use firstbyte::config::Protocol;
use loadtest::upstream::Upstream;

use crate::support::fixture::Fixture;
use crate::support::peers::raw_http1::{Client, line};
use crate::support::peers::raw_upstream::{Reply, http1, lead_to, serve};

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

fn before(upstream: SocketAddr) -> Fixture {
    Fixture::configured(Upstream::builder().clear(), |config| {
        lead_to(config, upstream, Protocol::Http1);
    })
}

/// Answers `/v1/odd` with these bytes and all else well.
fn odd(bytes: &str) -> SocketAddr {
    let bytes = bytes.as_bytes().to_vec();
    http1(move |path| {
        let bytes = if path == "/v1/odd" { bytes.clone() } else { OK.into() };
        Reply { bytes, close: false }
    })
}

/// Reads a request's head from `stream`; `None` at its end.
fn head(stream: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).ok()?;
        head.push(byte[0]);
    }
    Some(String::from_utf8(head).expect("text"))
}

#[test]
fn an_answer_that_two_readers_could_take_for_two_is_refused_and_spoils_nobody() {
    for bytes in [
        "HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nok",
        "HTTP/1.1 200 OK\r\ncontent-length: 2, 2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\ncontent-length: +2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: identity\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nx: a\r\n content-length: 0\r\ncontent-length: 2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\ncontent-length : 2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nx: a\rcontent-length: 0\r\ncontent-length: 2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nx: a\ncontent-length: 2\r\n\r\nok",
        "HTTP/1.1 200 OK\ncontent-length: 2\n\nok",
        "HTTP/1.1 20 OK\r\ncontent-length: 2\r\n\r\nok",
        "HTTP/0.9 200 OK\r\n\r\nok",
    ] {
        let fixture = before(odd(bytes));
        let mut client = Client::connect(&fixture);
        for _ in 0..3 {
            client.ask("/v1/odd", b"");
            let answer = client.answer().expect("an answer");
            assert_eq!(answer.status, 502, "{bytes:?}");
            assert!(answer.text().contains("upstream_protocol"), "{bytes:?}: {}", answer.text());
            client.ask("/v1/well", b"{}");
            assert_eq!(client.answer().expect("an answer").text(), "ok", "{bytes:?}");
        }
    }
}

#[test]
fn a_body_whose_chunks_are_no_chunks_is_cut_and_spoils_nobody() {
    for chunks in [
        "g\r\n",
        "-1\r\na\r\n0\r\n\r\n",
        "0x2\r\nok\r\n0\r\n\r\n",
        "2\nok\r\n0\r\n\r\n",
        "2\r\nokay\r\n0\r\n\r\n",
        "2\r\nok\n0\r\n\r\n",
        "2;a\nb\r\nok\r\n0\r\n\r\n",
        "11111111111111111\r\nok\r\n0\r\n\r\n",
        "2\r\nok\r\n0\r\nx: 1\n\r\n",
        "2\r\nok\r\n0\r\n folded\r\n\r\n",
    ] {
        let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
        let fixture = before(odd(&format!("{head}{chunks}")));
        for _ in 0..3 {
            let mut client = Client::connect(&fixture);
            client.ask("/v1/odd", b"");
            let whole = client.answer().is_some_and(|answer| answer.status == 200 && answer.whole);
            assert!(!whole, "{chunks:?}");
            let mut next = Client::connect(&fixture);
            next.ask("/v1/well", b"{}");
            assert_eq!(next.answer().expect("an answer").text(), "ok", "{chunks:?}");
        }
    }
}

/// Bytes behind an answer's end, at once or later, are no part of the next one.
#[test]
fn what_comes_behind_an_answer_is_nobodys() {
    const FORGED: &str = "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil";
    for first in [
        "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        "HTTP/1.1 204 No Content\r\n\r\n",
        "HTTP/1.1 204 No Content\r\ncontent-length: 4\r\n\r\nevil",
    ] {
        for apart in [false, true] {
            let upstream = serve(move |stream| {
                while let Some(head) = head(stream) {
                    let odd = head.starts_with("GET /v1/odd");
                    let sent = match (odd, apart) {
                        (false, _) => stream.write_all(OK.as_bytes()),
                        (true, false) => stream.write_all(format!("{first}{FORGED}").as_bytes()),
                        (true, true) => stream
                            .write_all(first.as_bytes())
                            .and_then(|()| stream.write_all(FORGED.as_bytes())),
                    };
                    if sent.is_err() {
                        return;
                    }
                }
            });
            let fixture = before(upstream);
            let mut client = Client::connect(&fixture);
            for _ in 0..10 {
                client.ask("/v1/odd", b"");
                let text = client.answer().expect("an answer").text();
                assert!(["ok", ""].contains(&text.as_str()), "{first:?}: {text}");
                client.ask("/v1/well", b"{}");
                let answer = client.answer().expect("an answer");
                assert_eq!((answer.status, answer.text().as_str()), (200, "ok"), "{first:?}");
            }
        }
    }
}

#[test]
fn an_answer_of_120_lines_passes_whole() {
    let lines: String =
        (0..120).map(|nth| format!("x-h-{nth}: v\r\n")).collect::<Vec<_>>().concat();
    let fixture = before(odd(&format!("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n{lines}\r\nok")));
    let mut client = Client::connect(&fixture);
    client.ask("/v1/odd", b"");
    let head = client.head().expect("an answer");
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    assert!((0..120).all(|nth| line(&head, &format!("x-h-{nth}")) == Some("v")), "{head}");
}

#[test]
fn chunks_of_an_http_1_0_answer_are_taken_off() {
    let stream = "HTTP/1.0 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n\
        a\r\ndata: {}\n\n\r\ne\r\ndata: [DONE]\n\n\r\n0\r\n\r\n";
    let upstream = http1(move |_| Reply { bytes: stream.into(), close: true });
    let fixture = before(upstream);
    let mut client = Client::connect(&fixture);
    for _ in 0..3 {
        client.ask("/v1/x", b"{}");
        let answer = client.answer().expect("an answer");
        assert_eq!((answer.text().as_str(), answer.whole), ("data: {}\n\ndata: [DONE]\n\n", true));
    }
}

/// The reason is no part of what HTTP means, and people read it.
#[test]
fn status_and_reason_pass_as_they_are() {
    let fixture = before(odd("HTTP/1.1 413 Prompt Too Long, Sorry\r\ncontent-length: 0\r\n\r\n"));
    let mut client = Client::connect(&fixture);
    client.ask("/v1/odd", b"{}");
    let head = client.head().expect("an answer");
    assert!(head.starts_with("HTTP/1.1 413 Prompt Too Long, Sorry\r\n"), "{head}");
}

/// An HTTP/1.0 server that keeps a connection where it says so, and only there.
#[test]
fn an_http_1_0_connection_stays_only_where_its_answer_says_so() {
    for (lines, most) in [("connection: keep-alive\r\n", 5), ("", usize::MAX)] {
        let opened = Arc::new(AtomicUsize::new(0));
        let used = Arc::clone(&opened);
        let upstream = serve(move |stream| {
            let mut first = true;
            while head(stream).is_some() {
                used.fetch_add(usize::from(first), Ordering::Relaxed);
                first = false;
                let answer = format!("HTTP/1.0 200 OK\r\ncontent-length: 2\r\n{lines}\r\nok");
                if stream.write_all(answer.as_bytes()).is_err() {
                    return;
                }
            }
        });
        let fixture = before(upstream);
        let mut client = Client::connect(&fixture);
        for _ in 0..20 {
            client.ask("/v1/x", b"{}");
            assert_eq!(client.answer().expect("an answer").text(), "ok");
        }
        let used = opened.load(Ordering::Relaxed);
        assert!(if most == 5 { used <= most } else { used == 20 }, "{lines:?}: {used}");
    }
}
