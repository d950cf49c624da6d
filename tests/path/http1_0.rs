//! Clients of HTTP/1.0, for whom the end of the connection is the end of the answer: only a reset tells
//! them that it was cut.

use std::io::{ErrorKind, Read, Write};
use std::time::Duration;

use firstbyte::config::Config;
use loadtest::upstream::{Cut, Log, Script, Step, Upstream};

use crate::support::fixture::{Fixture, PATIENCE};
use crate::support::peers::raw_http1::{Client, line};

const SHORT: Duration = Duration::from_millis(500);

fn ask(client: &mut Client, path: &str, lines: &str) {
    let request = format!("GET {path} HTTP/1.0\r\nhost: a\r\n{lines}\r\n");
    client.stream.write_all(request.as_bytes()).expect("the proxy reads");
}

/// All that comes, and how it ended.
fn rest(client: &mut Client) -> (Vec<u8>, Result<(), ErrorKind>) {
    let mut all = Vec::new();
    let end = client.stream.read_to_end(&mut all).map(drop).map_err(|error| error.kind());
    (all, end)
}

#[test]
fn a_stream_ends_with_the_connection_and_has_no_chunks() {
    let fixture = Fixture::start(
        Upstream::builder().script(Script::new().stream().body("data: x\n\n").finish()),
    );
    // Whether or not it wants the connection kept.
    for lines in ["", "connection: keep-alive\r\n"] {
        let mut client = Client::connect(&fixture);
        ask(&mut client, "/v1/x", lines);
        let (all, end) = rest(&mut client);
        let all = String::from_utf8(all).expect("text");
        let (head, body) = all.split_once("\r\n\r\n").expect("a head");
        assert_eq!(
            (line(head, "connection"), line(head, "transfer-encoding")),
            (Some("close"), None)
        );
        assert_eq!((body, end), ("data: x\n\n", Ok(())));
    }
}

#[test]
fn an_answer_with_a_length_keeps_the_connection_for_who_asks_and_says_so() {
    let fixture = Fixture::start(Upstream::builder().script(Script::new().answer(
        200,
        &[("content-length", "2")],
        "{}",
    )));
    let mut client = Client::connect(&fixture);
    for _ in 0..2 {
        ask(&mut client, "/v1/x", "connection: Keep-Alive\r\n");
        let head = client.head().expect("an answer");
        assert_eq!(line(&head, "connection"), Some("keep-alive"));
        let mut body = [0; 2];
        client.read_exact(&mut body);
        assert_eq!(&body, b"{}");
    }
    ask(&mut client, "/v1/x", "");
    let (head, end) = (client.head().expect("an answer"), rest(&mut client).1);
    assert_eq!((line(&head, "connection"), end), (Some("close"), Ok(())));
}

/// A proxy whose upstream answers a part and then does `then`; and a client of HTTP/1.0 that has asked.
fn begun(then: Script, change: impl FnOnce(&mut Config)) -> (Fixture, Client) {
    let fixture = Fixture::configured(Upstream::builder().script(then), change);
    let mut client = Client::narrow(&fixture);
    ask(&mut client, "/v1/x", "");
    (fixture, client)
}

#[test]
fn an_answer_that_the_upstream_cuts_ends_in_a_reset() {
    let script = Script::new().stream().body("data: x\n\n").wait(Duration::from_millis(20));
    let (_fixture, mut client) = begun(script.cut(Cut::Fin), |_| {});
    assert!(client.wait_for("data: x"));
    assert_eq!(rest(&mut client).1, Err(ErrorKind::ConnectionReset));
}

#[test]
fn an_answer_that_a_drains_deadline_cuts_ends_in_a_reset() {
    let script = Script::new().stream().body("data: x\n\n").stall();
    let (fixture, mut client) = begun(script, |config| config.client.drain = SHORT);
    assert!(client.wait_for("data: x"));
    fixture.proxy.drain();
    assert_eq!(rest(&mut client).1, Err(ErrorKind::ConnectionReset));
}

#[test]
fn an_answer_whose_client_took_nothing_for_too_long_ends_in_a_reset() {
    let script = Script::new().stream().step(Step::Filler(64 << 20)).finish();
    let (fixture, mut client) = begun(script, |config| config.client.write_stall = SHORT);
    let evicted = |log: &Log| log.requests.first().is_some_and(|seen| seen.end.is_some());
    assert!(fixture.upstream.wait_for(evicted, PATIENCE), "it is not evicted");
    // What the kernel held for it is there, and then it learns that this is not all.
    assert_eq!(rest(&mut client).1, Err(ErrorKind::ConnectionReset));
}

/// What the kernel still holds for the client when we close is not cut.
#[test]
fn a_slow_reader_gets_all_of_it_after_we_have_closed() {
    const ALL: u64 = 100_000;
    let script = Script::new().stream().step(Step::Filler(ALL)).finish();
    let (fixture, mut client) = begun(script, |_| {});
    assert!(client.wait_for("\r\n\r\n"));
    fixture
        .wait_until("we have closed", |fixture| fixture.count("firstbyte_client_connections") == 0);
    client.head().expect("an answer");
    let ahead = client.unread().len() as u64;
    let (rest, end) = rest(&mut client);
    assert_eq!((ahead + rest.len() as u64, end), (ALL, Ok(())));
}
