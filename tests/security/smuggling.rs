//! Requests that two readers could take for different ones, on a kept-alive connection with a second
//! request behind them (promise 22). The upstream keeps every byte's meaning: it never sees more
//! requests than were meant.

use std::io::{Read, Write};

use firstbyte::config::Protocol;
use loadtest::upstream::{Script, Upstream};

use crate::support::fixture::Fixture;
use crate::support::peers::raw_http1::Client;
use crate::support::peers::raw_log::{Asked, RawLog};
use crate::support::peers::raw_upstream::lead_to;

/// What stands behind each vector: were the vector read otherwise, it would be part of it, or another
/// request would begin earlier.
const SECOND: &str = "GET /v1/second HTTP/1.1\r\nhost: a\r\n\r\n";

/// Heads of `POST /v1/first`, each followed by a body of `hello`, coded as most readers would guess.
const HEADS: &[&str] = &[
    // Two lengths, and lengths that are no number.
    "host: a\r\ncontent-length: 5\r\ncontent-length: 6",
    "host: a\r\ncontent-length: 6\r\nContent-Length: 5",
    "host: a\r\ncontent-length: 5, 6",
    "host: a\r\ncontent-length: 5, 5",
    "host: a\r\ncontent-length: 5,",
    "host: a\r\ncontent-length: +5",
    "host: a\r\ncontent-length: -5",
    "host: a\r\ncontent-length: 0x5",
    "host: a\r\ncontent-length: 5 5",
    "host: a\r\ncontent-length: 5;",
    "host: a\r\ncontent-length:",
    "host: a\r\ncontent-length: 18446744073709551621", // 5 modulo 2⁶⁴
    "host: a\r\ncontent-length: \u{ff15}",             // a digit five, but not ASCII's
    // Length with chunked, either first.
    "host: a\r\ncontent-length: 5\r\ntransfer-encoding: chunked",
    "host: a\r\ntransfer-encoding: chunked\r\ncontent-length: 15",
    "host: a\r\ntransfer-encoding: chunked\r\ncontent-length: 0",
    // Codings that are not chunked and chunked alone.
    "host: a\r\ntransfer-encoding: gzip, chunked",
    "host: a\r\ntransfer-encoding: chunked, chunked",
    "host: a\r\ntransfer-encoding: chunked, identity",
    "host: a\r\ntransfer-encoding: chunked\r\ntransfer-encoding: identity",
    "host: a\r\ntransfer-encoding: identity\r\ncontent-length: 5",
    "host: a\r\ntransfer-encoding: xchunked",
    "host: a\r\ntransfer-encoding: \"chunked\"",
    "host: a\r\ntransfer-encoding: chunked;q=1",
    "host: a\r\ntransfer-encoding: \x0bchunked",
    "host: a\r\ntransfer-encoding:",
    // Lines that fold, names with spaces or nothing, line ends of all kinds.
    "host: a\r\ntransfer-encoding:\r\n chunked",
    "host: a\r\n transfer-encoding: chunked",
    "host: a\r\nx: y\r\n\tcontent-length: 5",
    "host: a\r\ntransfer-encoding : chunked",
    "host: a\r\ncontent-length\t: 5",
    "host: a\r\n: chunked",
    "host: a\r\ntransfer encoding: chunked",
    "host: a\r\ntransfer-encoding\0: chunked",
    "host: a\r\nx: y\ncontent-length: 5",
    "host: a\r\nx: y\rcontent-length: 5",
    "host: a\r\nx: y\r\rcontent-length: 5",
    "host: a\r\nx: y\n\ncontent-length: 5",
    "host: a\r\nx: y\0z",
    // Whose request is it?
    "host: a\r\nhost: b",
    "host: a\r\nHost: a",
    "x-no-host: 1",
];

/// Chunked bodies of `POST /v1/first`.
const CHUNKS: &[&str] = &[
    "0x5\r\nhello\r\n0\r\n\r\n",
    "+5\r\nhello\r\n0\r\n\r\n",
    "-1\r\nhello\r\n0\r\n\r\n",
    " 5\r\nhello\r\n0\r\n\r\n",
    "5 \r\nhello\r\n0\r\n\r\n",
    "5_0\r\nhello\r\n0\r\n\r\n",
    "5,0\r\nhello\r\n0\r\n\r\n",
    "g\r\nhello\r\n0\r\n\r\n",
    "\r\nhello\r\n0\r\n\r\n",
    ";x\r\nhello\r\n0\r\n\r\n",
    "10000000000000005\r\nhello\r\n0\r\n\r\n", // 5 modulo 2⁶⁴
    "00000000000000005\r\nhello\r\n0\r\n\r\n",
    "5\nhello\r\n0\r\n\r\n",
    "5\rhello\r\n0\r\n\r\n",
    "5\r\nhello\n0\r\n\r\n",
    "5\r\nhello0\r\n\r\n",
    "4\r\nhello\r\n0\r\n\r\n",
    "5\r\nhelloXX0\r\n\r\n",
    "5;\r\nhello\r\n0\r\n\r\n",
    "5; =x\r\nhello\r\n0\r\n\r\n",
    "5;a=\r\nhello\r\n0\r\n\r\n",
    "5;a=\"b\r\nhello\r\n0\r\n\r\n",
    "5;a;\r\nhello\r\n0\r\n\r\n",
    "5;a\rb\r\nhello\r\n0\r\n\r\n",
    "5;a\nb\r\nhello\r\n0\r\n\r\n",
    "5;a\n0\r\n\r\n",
    "5;a\0b\r\nhello\r\n0\r\n\r\n",
    "5\x0c;a\r\nhello\r\n0\r\n\r\n",
    "5\r\nhello\r\n0\r\nx: 1\ny: 2\r\n\r\n",
    "5\r\nhello\r\n0\r\n\n\r\n\r\n",
    "5\r\nhello\r\n0\r\nx : 1\r\n\r\n",
    "5\r\nhello\r\n0\r\nx: 1\r\n folded\r\n\r\n",
];

/// A proxy in front of the upstream that keeps all it is asked.
fn start() -> (Fixture, RawLog) {
    let upstream = RawLog::start();
    let fixture = Fixture::configured(Upstream::builder().clear(), |config| {
        lead_to(config, upstream.address, Protocol::Http1);
    });
    (fixture, upstream)
}

/// What follows the head: `hello`, coded by what the head most likely means.
fn body_for(head: &str) -> &'static str {
    if head.contains("chunked") { "5\r\nhello\r\n0\r\n\r\n" } else { "hello" }
}

/// Sends `vector` and the second request on a connection that has served one, and asserts that they are
/// refused as one: 400 whole, then an orderly end, so that nobody loses the answer to a reset.
fn assert_refused(fixture: &Fixture, vector: &str, bytewise: bool) {
    let mut client = Client::connect(fixture);
    client.ask("/v1/before", b"");
    assert_eq!(client.answer().expect("an answer").text(), "/v1/before");
    let bytes = [vector.as_bytes(), SECOND.as_bytes()].concat();
    let step = if bytewise { 1 } else { bytes.len() };
    for piece in bytes.chunks(step) {
        // Once it is refused, the rest may find the connection closed.
        let _refused = client.stream.write_all(piece);
    }
    let answer = client.answer().unwrap_or_else(|| panic!("no answer to {vector:?}"));
    assert_eq!((answer.status, answer.whole), (400, true), "{vector:?}: {}", answer.text());
    assert!(answer.text().contains("\"bad_request\""), "{vector:?}: {}", answer.text());
    let mut rest = Vec::new();
    let end = client.stream.read_to_end(&mut rest);
    assert!(client.is_closed() && rest.is_empty(), "more than one answer to {vector:?}");
    assert!(end.is_ok(), "{vector:?} ends in {end:?}");
}

fn heads() -> impl Iterator<Item = String> {
    let current = HEADS.iter().map(|lines| ("HTTP/1.1", *lines));
    let old = ["host: a\r\ntransfer-encoding: chunked"].map(|lines| ("HTTP/1.0", lines));
    current.chain(old).map(|(version, lines)| {
        format!("POST /v1/first {version}\r\n{lines}\r\n\r\n{}", body_for(lines))
    })
}

#[test]
fn a_head_that_can_be_read_in_two_ways_is_400_and_the_upstream_sees_none_of_it() {
    let (fixture, upstream) = start();
    for vector in heads() {
        for bytewise in [false, true] {
            upstream.log().asked.clear();
            upstream.log().heads = 0;
            assert_refused(&fixture, &vector, bytewise);
            let log = upstream.log();
            assert_eq!((log.heads, log.asked.len()), (1, 1), "{vector:?}: {log:?}");
            assert!(log.faults.is_empty(), "{vector:?}: {log:?}");
        }
    }
}

#[test]
fn chunks_that_can_be_read_in_two_ways_are_400_and_never_a_whole_request() {
    let (fixture, upstream) = start();
    for chunks in CHUNKS {
        let head = "POST /v1/first HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n";
        for bytewise in [false, true] {
            upstream.log().asked.clear();
            assert_refused(&fixture, &format!("{head}{chunks}"), bytewise);
            let log = upstream.log();
            let lines: Vec<_> = log.asked.iter().map(|asked| &asked.line[..]).collect();
            assert_eq!(lines, ["GET /v1/before HTTP/1.1"], "{chunks:?}");
            assert!(log.faults.is_empty(), "{chunks:?}: {log:?}");
        }
    }
}

#[test]
fn chunks_whose_first_part_is_wrong_already_are_not_begun_upstream() {
    for upstream in [Upstream::builder().clear().http1(), Upstream::builder().http2()] {
        let fixture = Fixture::start(
            upstream.respond(|seen| Script::new().answer(200, &[], seen.path.clone())),
        );
        let head = "POST /v1/first HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n";
        assert_refused(&fixture, &format!("{head}0x5\r\nhello\r\n0\r\n\r\n"), false);
        // Had it begun, it would have come before this one.
        let mut client = Client::connect(&fixture);
        client.ask("/v1/after", b"");
        assert_eq!(client.answer().expect("an answer").text(), "/v1/after");
        let log = fixture.upstream.log();
        let paths: Vec<_> = log.requests.iter().map(|seen| &seen.path[..]).collect();
        assert_eq!(paths, ["/v1/before", "/v1/after"]);
    }
}

/// What is unusual and can be read in one way only passes, as exactly one request.
#[test]
fn what_can_be_read_in_one_way_passes_as_one_request() {
    let (fixture, upstream) = start();
    let chunked = "POST /v1/first HTTP/1.1\r\nhost: a\r\ntransfer-encoding: Chunked\r\n\r\n";
    let sized = "POST /v1/first HTTP/1.1\r\nhost: a\r\ncontent-length: ";
    for (vector, body) in [
        (format!("\r\n\r\n{sized}5\r\n\r\nhello"), "hello"),
        (format!("{sized}5\r\ncontent-length: 5\r\n\r\nhello"), "hello"),
        (format!("{sized} \t5 \t\r\n\r\nhello"), "hello"),
        (format!("{sized}{}\r\n\r\n{SECOND}", SECOND.len()), SECOND),
        (format!("{chunked}5\r\nhello\r\n0\r\n\r\n"), "hello"),
        (format!("{chunked}005;a=\"\\\"b\"\t;c\r\nhello\r\n00\r\n\r\n"), "hello"),
        (format!("{chunked}{:x}\r\n{SECOND}\r\n0\r\nx: 1\r\n\r\n", SECOND.len()), SECOND),
        (
            "POST http://b.example/v1/first HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n"
                .to_owned(),
            "",
        ),
    ] {
        for bytewise in [false, true] {
            upstream.log().asked.clear();
            let mut client = Client::connect(&fixture);
            let bytes = [vector.as_bytes(), SECOND.as_bytes()].concat();
            for piece in bytes.chunks(if bytewise { 1 } else { bytes.len() }) {
                client.stream.write_all(piece).expect("the proxy reads");
            }
            for target in ["/v1/first", "/v1/second"] {
                let answer = client.answer().expect("an answer");
                assert_eq!((answer.status, answer.text()), (200, target.to_owned()), "{vector:?}");
            }
            let first = Asked { line: "POST /v1/first HTTP/1.1".into(), body: body.into() };
            let second = Asked { line: "GET /v1/second HTTP/1.1".into(), body: Vec::new() };
            assert_eq!(upstream.log().asked, [first, second], "{vector:?}");
        }
    }
}
