//! Interim responses before the final one: a request takes as many as a server has to say, and an upstream
//! that goes on with them is told apart from one that thinks. Early hints reach a client that reads them.

use std::io::{Read, Write};

use firstbyte::config::Protocol;
use loadtest::upstream::Upstream;

use crate::support::fixture::Fixture;
use crate::support::peers::raw_http1::{Answer, Client};
use crate::support::peers::raw_http2;
use crate::support::peers::raw_upstream::{self, Reply, frame, lead_to};

/// As many as a request takes.
const MOST: usize = 100;

/// What a client is told where so many interim responses come before a final one, over each protocol.
fn answers(interims: usize) -> Vec<Answer> {
    let over_http1 = raw_upstream::http1(move |_| {
        let interims = "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n".repeat(interims);
        let last = "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nbody";
        Reply { bytes: (interims + last).into_bytes(), close: false }
    });
    let over_http2 = raw_upstream::http2(move |_, stream| {
        let mut bytes = frame(1, 4, stream, &[0x08, 3, b'1', b'0', b'3']).repeat(interims);
        bytes.extend(frame(1, 4, stream, &[0x88]));
        bytes.extend(frame(0, 1, stream, b"body"));
        Reply { bytes, close: false }
    });
    let upstreams = [(over_http1, Protocol::Http1), (over_http2, Protocol::Http2)];
    upstreams
        .map(|(upstream, protocol)| {
            let fixture = Fixture::configured(Upstream::builder().clear(), |config| {
                lead_to(config, upstream, protocol);
            });
            let mut client = Client::connect(&fixture);
            // The connection's second request takes as many as its first.
            client.ask("/v1/first", b"");
            let first = client.answer().expect("an answer");
            client.ask("/v1/second", b"");
            let second = client.answer().expect("an answer");
            assert_eq!(first.status, second.status);
            second
        })
        .into()
}

#[test]
fn as_many_as_a_server_has_to_say_are_passed_over() {
    for answer in answers(MOST) {
        assert_eq!((answer.status, answer.text()), (200, "body".to_owned()));
    }
}

#[test]
fn an_upstream_that_goes_on_with_them_is_told_apart() {
    for answer in answers(MOST + 1) {
        assert_eq!(answer.status, 502);
        assert!(answer.text().contains("upstream_interim"), "{}", answer.text());
    }
}

/// 103 with `link: </a>`; 102; 103 with `x: y`; and then the answer.
fn hints(stream: u32) -> Reply {
    let literal = |name: &str, value: &str| {
        let (name, value) = (name.as_bytes(), value.as_bytes());
        [&[0, name.len() as u8][..], name, &[value.len() as u8], value].concat()
    };
    let interim = |status: &str, lines: &[(&str, &str)]| {
        let lines = lines.iter().flat_map(|(name, value)| literal(name, value));
        let fields: Vec<u8> = literal(":status", status).into_iter().chain(lines).collect();
        frame(1, 4, stream, &fields)
    };
    let bytes = [
        interim("103", &[("link", "</a>")]),
        interim("102", &[]),
        interim("103", &[("x", "y")]),
        frame(1, 4, stream, &[0x88]),
        frame(0, 1, stream, b"body"),
    ];
    Reply { bytes: bytes.concat(), close: false }
}

/// Before an upstream of each protocol that says so.
fn hinting() -> [Fixture; 2] {
    let http1 = raw_upstream::http1(|_| {
        let hint = |lines: &str| format!("HTTP/1.1 103 Early Hints\r\n{lines}\r\n\r\n");
        let interims = hint("Link: </a>") + "HTTP/1.1 102 Processing\r\n\r\n" + &hint("x: y");
        let last = "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nbody";
        Reply { bytes: (interims + last).into_bytes(), close: false }
    });
    let http2 = raw_upstream::http2(|_, stream| hints(stream));
    [(http1, Protocol::Http1), (http2, Protocol::Http2)].map(|(upstream, protocol)| {
        Fixture::configured(Upstream::builder().clear(), |config| {
            lead_to(config, upstream, protocol);
        })
    })
}

/// All that comes back for these requests, the last of which closes.
fn said(fixture: &Fixture, requests: &str) -> String {
    let mut stream = fixture.connect();
    stream.write_all(requests.as_bytes()).expect("the proxy reads");
    let mut said = String::new();
    stream.read_to_string(&mut said).expect("answers and an end");
    said
}

#[test]
fn early_hints_reach_a_client_that_speaks_http_1_1_before_each_answer() {
    for fixture in hinting() {
        let hints = "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\nHTTP/1.1 103 Early Hints\r\nx: y\r\n\r\n";
        let ask = "GET /v1/x HTTP/1.1\r\nhost: a\r\n";
        let said = said(&fixture, &format!("{ask}\r\n{ask}connection: close\r\n\r\n"));
        let answers: Vec<_> = said.split(hints).collect();
        assert_eq!(answers.len(), 3, "{said}");
        assert_eq!(answers[0], "");
        for answer in &answers[1..] {
            assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.contains("body"), "{said}");
        }
    }
}

#[test]
fn who_waits_to_send_its_body_is_told_that_and_given_the_hints_apart() {
    for fixture in hinting() {
        let head =
            "POST /v1/x HTTP/1.1\r\nhost: a\r\nconnection: close\r\nexpect: 100-continue\r\n";
        let mut stream = fixture.connect();
        write!(stream, "{head}content-length: 4\r\n\r\n").expect("the proxy reads");
        let mut told = [0; 25];
        stream.read_exact(&mut told).expect("an interim answer");
        assert_eq!(&told, b"HTTP/1.1 100 Continue\r\n\r\n");
        stream.write_all(b"body").expect("the proxy reads");
        let mut said = String::new();
        stream.read_to_string(&mut said).expect("answers and an end");
        assert_eq!(said.matches("103 Early Hints\r\n").count(), 2, "{said}");
        assert!(said.starts_with("HTTP/1.1 103 ") && said.contains("HTTP/1.1 200 OK"), "{said}");
    }
}

#[test]
fn who_knows_no_interim_answers_gets_none() {
    for fixture in hinting() {
        let said = said(&fixture, "GET /v1/x HTTP/1.0\r\nhost: a\r\n\r\n");
        assert!(said.starts_with("HTTP/1.1 200 OK\r\n"), "{said}");
        assert!(!said.contains("Early Hints"), "{said}");
        raw_http2::block_on(async {
            let client = raw_http2::Client::connect(fixture.address()).await;
            let answer = client.ask("/v1/x", b"").await.expect("an answer");
            assert_eq!((answer.status, &answer.body[..]), (200, &b"body"[..]));
        });
    }
}
