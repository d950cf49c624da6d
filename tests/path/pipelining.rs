//! Requests that follow each other on a connection without waiting for answers.

use std::io::Write;
use std::net::Shutdown;
use std::time::Duration;

use firstbyte::config::Protocol;
use loadtest::upstream::{Script, Upstream};

use crate::support::fixture::{Fixture, PATIENCE};
use crate::support::peers::raw_http1::Client;
use crate::support::peers::raw_log::RawLog;
use crate::support::peers::raw_upstream::lead_to;

/// A request for `/v1/N` as the wire has it, and its body: by length, in chunks with everything that
/// they may carry, or none.
fn request(number: usize) -> (String, String) {
    let target = format!("/v1/{number}");
    let body = format!("body\r\n\r\nof {number}");
    let (line, rest) = match number % 3 {
        0 => ("GET", "host: a\r\n\r\n".to_owned()),
        1 => ("POST", format!("host: a\r\ncontent-length: {}\r\n\r\n{body}", body.len())),
        _ => (
            "POST",
            format!(
                "host: a\r\ntransfer-encoding: chunked\r\n\r\n\
                 4;a=b\r\n{}\r\n0{:X}\r\n{}\r\n0\r\nx-sum: 1\r\n\r\n",
                &body[..4],
                body.len() - 4,
                &body[4..]
            ),
        ),
    };
    let body = if number.is_multiple_of(3) { String::new() } else { body };
    (format!("{line} {target} HTTP/1.1\r\n{rest}"), body)
}

fn start() -> (Fixture, RawLog) {
    let upstream = RawLog::start();
    let fixture = Fixture::configured(Upstream::builder().clear(), |config| {
        lead_to(config, upstream.address, Protocol::Http1);
    });
    (fixture, upstream)
}

/// Reads the answers to `numbers`, and asserts that the upstream was asked just that.
fn assert_in_order(client: &mut Client, upstream: &RawLog, numbers: std::ops::Range<usize>) {
    for number in numbers.clone() {
        let answer = client.answer().expect("an answer");
        assert_eq!((answer.status, answer.text()), (200, format!("/v1/{number}")));
    }
    let asked = std::mem::take(&mut upstream.log().asked);
    assert_eq!(asked.len(), numbers.len());
    for (number, asked) in numbers.zip(asked) {
        assert_eq!(asked.body, request(number).1.as_bytes(), "of {number}");
        assert!(asked.line.contains(&format!(" /v1/{number} ")), "{asked:?}");
    }
}

#[test]
fn ten_requests_in_one_write_are_answered_in_order() {
    let (fixture, upstream) = start();
    let mut client = Client::connect(&fixture);
    for _ in 0..2 {
        let all: String = (0..10).map(|number| request(number).0).collect();
        client.stream.write_all(all.as_bytes()).expect("the proxy reads");
        assert_in_order(&mut client, &upstream, 0..10);
    }
}

#[test]
fn requests_are_told_apart_wherever_a_write_ends() {
    let (fixture, upstream) = start();
    let mut client = Client::connect(&fixture);
    let all: String = (0..3).map(|number| request(number).0).collect();
    for cut in 1..all.len() {
        let (first, second) = all.as_bytes().split_at(cut);
        client.stream.write_all(first).expect("the proxy reads");
        std::thread::yield_now(); // more often than not the proxy reads now
        client.stream.write_all(second).expect("the proxy reads");
        assert_in_order(&mut client, &upstream, 0..3);
    }
    for byte in all.as_bytes().chunks(1) {
        client.stream.write_all(byte).expect("the proxy reads");
    }
    assert_in_order(&mut client, &upstream, 0..3);
}

/// More than is ever read ahead waits where it is, and nothing of it is lost.
#[test]
fn a_thousand_requests_written_ahead_are_answered_in_order() {
    let (fixture, upstream) = start();
    let mut client = Client::connect(&fixture);
    let all: String = (0..1000).map(|number| request(number).0).collect();
    let mut sending = client.stream.try_clone().expect("a second handle");
    let sender = std::thread::spawn(move || sending.write_all(all.as_bytes()));
    assert_in_order(&mut client, &upstream, 0..1000);
    sender.join().expect("no panic").expect("the proxy reads");
}

#[test]
fn a_request_behind_a_stream_waits_for_its_end() {
    let upstream = Upstream::builder().respond(|seen| {
        let begun = Script::new().stream().body(seen.path[..4].to_owned());
        begun.wait(Duration::from_millis(20)).body(seen.path[4..].to_owned()).finish()
    });
    let fixture = Fixture::start(upstream);
    let mut client = Client::connect(&fixture);
    let both = "GET /v1/0 HTTP/1.1\r\nhost: a\r\n\r\nGET /v1/1 HTTP/1.1\r\nhost: a\r\n\r\n";
    client.stream.write_all(both.as_bytes()).expect("the proxy reads");
    for target in ["/v1/0", "/v1/1"] {
        let answer = client.answer().expect("an answer");
        assert_eq!((answer.text(), answer.whole), (target.to_owned(), true));
    }
}

/// To close one's side is to leave, as it was with hyper's server: to go on would mean that nobody can
/// tell a client that reads on from one that is gone. The upstream is not left working for it.
#[test]
fn a_client_that_closes_its_side_has_left() {
    let fixture = Fixture::start(
        Upstream::builder().script(Script::new().stream().body("data: x\n\n").stall()),
    );
    let mut client = Client::connect(&fixture);
    client.ask("/v1/x", b"{}");
    assert!(client.wait_for("data: x"));
    client.stream.shutdown(Shutdown::Write).expect("the proxy is there");
    assert!(fixture.upstream.wait_for_cancel(0, PATIENCE).is_some());
    assert!(!client.answer().expect("a head").whole);
    let lines = fixture.access_log();
    assert_eq!(lines[0]["outcome"], "client_gone", "{lines:?}");
}

#[test]
fn a_client_that_closes_its_side_between_requests_is_closed_in_order() {
    let (fixture, _upstream) = start();
    let mut client = Client::connect(&fixture);
    client.ask("/v1/0", b"");
    assert_eq!(client.answer().expect("an answer").status, 200);
    client.stream.shutdown(Shutdown::Write).expect("the proxy is there");
    let mut rest = Vec::new();
    let end = std::io::Read::read_to_end(&mut client.stream, &mut rest);
    assert_eq!(end.expect("an orderly end"), 0);
    assert_eq!(fixture.access_log().len(), 1);
}
