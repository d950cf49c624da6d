//! `Expect: 100-continue`: told once, and only by a proxy that wants the body.

use std::io::Write;

use firstbyte::config::Protocol;
use loadtest::upstream::{Log, Script, Upstream};

use crate::support::fixture::{Fixture, PATIENCE};
use crate::support::message::{Ask, Length};
use crate::support::peers::http1_client::Http1;
use crate::support::peers::raw_http1;
use crate::support::peers::raw_http1::line;
use crate::support::peers::raw_upstream::lead_to;
use crate::support::refusal::assert_refused;

fn start() -> Fixture {
    Fixture::start(Upstream::builder().script(Script::new().await_body().answer(200, &[], "{}")))
}

fn expecting() -> Ask {
    Ask::post("/v1/files", "").header("expect", "100-continue")
}

#[test]
fn it_is_told_once_however_the_body_comes() {
    let fixture = start();
    let mut client = Http1::new(fixture.connect());
    for length in [Length::Known, Length::Unknown] {
        let pieces: Vec<_> = ["one", "two", "three"].map(bytes::Bytes::from).into();
        let ask = expecting().body(pieces.clone(), length);
        client.send_head(&ask);
        client.read_interim(100);
        for piece in &pieces {
            client.send_piece(&ask, piece);
        }
        client.send_end(&ask);
        let answer = client.answer(&ask);
        assert_eq!((answer.status, &answer.interim[..]), (200, &[][..]));
        let log = fixture.upstream.log();
        assert_eq!(log.requests.last().map(|seen| seen.body_len), Some(11));
    }
}

#[test]
fn a_client_that_does_not_wait_is_not_told() {
    let fixture = start();
    let mut client = Http1::new(fixture.connect());
    let head = "POST /v1/x HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\n";
    for _ in 0..2 {
        for body in [
            "content-length: 4\r\n\r\nbody",
            "transfer-encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n",
        ] {
            client.write(format!("{head}{body}").as_bytes());
            let answer = client.answer(&Ask::post("/v1/x", ""));
            assert_eq!((answer.status, &answer.interim[..]), (200, &[][..]));
        }
    }
}

#[test]
fn http_1_0_and_a_request_without_a_body_are_not_told() {
    let fixture = start();
    for (version, length) in [("1.0", 4), ("1.1", 0)] {
        let mut client = Http1::new(fixture.connect());
        client.write(
            format!("POST /v1/x HTTP/{version}\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: {length}\r\n\r\n")
                .as_bytes(),
        );
        let begun = |log: &Log| !log.requests.is_empty();
        assert!(fixture.upstream.wait_for(begun, PATIENCE), "{version}: the head goes up");
        client.write(&b"body"[..length]);
        let answer = client.head(&Ask::post("/v1/x", ""));
        assert_eq!((answer.status, &answer.interim[..]), (200, &[][..]), "{version}");
    }
}

/// Refused for what its head says, or because nobody is there to take it: the body is never asked for,
/// and the client hears that this connection ends, since nobody knows whether it sends it.
#[test]
fn a_request_that_goes_nowhere_is_answered_without_asking_for_its_body() {
    let unbound = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let nobody = unbound.local_addr().expect("an address");
    drop(unbound);
    let deserted = Fixture::unready(Upstream::builder().clear(), |config| {
        lead_to(config, nobody, Protocol::Http1);
    });
    let fixture = start();
    for (fixture, target, lines, status, code) in [
        (&fixture, "/nowhere", "host: a", 404, "no_route"),
        (&fixture, "/v1/x", "host: a\r\nhost: b", 400, "bad_request"),
        (&deserted, "/v1/x", "host: a", 502, "connect_refused"),
    ] {
        let mut client = Http1::new(fixture.connect());
        let head = format!("POST {target} HTTP/1.1\r\n{lines}\r\nexpect: 100-continue\r\n");
        client.write(format!("{head}content-length: 4\r\n\r\n").as_bytes());
        let answer = client.answer(&Ask::post(target, ""));
        assert!(answer.interim.is_empty(), "{code}");
        assert_refused(&answer, status, code);
        assert_eq!(answer.header("connection"), Some("close"), "{code}");
        client.assert_closed();
    }
}

/// Whoever stops sending is told that the connection ends with the answer.
#[test]
fn a_refusal_in_the_middle_of_a_body_says_that_the_connection_closes() {
    let fixture = Fixture::configured(
        Upstream::builder().script(Script::new().await_body().answer(200, &[], "{}")),
        |config| config.client.body_idle = std::time::Duration::from_millis(300),
    );
    let mut client = raw_http1::Client::connect(&fixture);
    client
        .stream
        .write_all(b"POST /v1/x HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\nabc")
        .expect("the proxy reads");
    let head = client.head().expect("an answer");
    assert!(head.starts_with("HTTP/1.1 408 "), "{head}");
    assert_eq!(line(&head, "connection"), Some("close"));
}
