//! What goes through TLS is what goes without it: answers, streams, cuts, cancels and deadlines.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Request;
use loadtest::upstream::{Cut, Script, Seen, Upstream};
use rustls::version::{TLS12, TLS13};
use tokio_rustls::TlsConnector;

use super::{behind_tls, clear, handshakes, listen, ready, text};
use crate::door::authority::Authority;
use crate::door::tls_client::TlsSettings;
use crate::support::fixture::{PATIENCE, scratch};

fn answering() -> loadtest::upstream::Builder {
    Upstream::builder().script(Script::new().answer(200, &[], "{}"))
}

#[test]
fn both_versions_of_tls_carry_requests_one_after_the_other() {
    let (fixture, authority, _) = behind_tls(answering(), "");
    for version in [&TLS12, &TLS13] {
        let settings = TlsSettings::speaking(&authority, &[version], None).alpn(&["http/1.1"]);
        let mut client = settings.connect(fixture.address(), "localhost").expect("a handshake");
        for _ in 0..3 {
            let answer = client.get("/v1/models").expect("an answer");
            assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("{}"), "{answer}");
        }
    }
    assert_eq!(handshakes(&fixture, "full"), 2);
    let log = fixture.access_log();
    assert!(log.len() == 6 && log.iter().all(|line| line["outcome"] == "complete"), "{log:?}");
}

#[test]
fn http_2_is_spoken_where_the_client_agrees() {
    let (fixture, authority, _) = behind_tls(answering(), "");
    let config = TlsSettings::trusting(&authority).alpn(&["h2", "http/1.1"]).config();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(async {
        let socket = tokio::net::TcpStream::connect(fixture.address()).await.expect("it listens");
        let name = "localhost".try_into().expect("a name");
        let tls = TlsConnector::from(config).connect(name, socket).await.expect("a handshake");
        assert_eq!(tls.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
        let (mut sender, connection) = h2::client::handshake(tls).await.expect("HTTP/2");
        tokio::spawn(connection);
        let request = || Request::get("https://localhost/v1/models").body(()).expect("a request");
        for _ in 0..3 {
            let (response, _) = sender.send_request(request(), true).expect("it is sent");
            let mut response = response.await.expect("an answer");
            assert_eq!(response.status(), 200);
            let body = response.body_mut().data().await.expect("a body").expect("a frame");
            assert_eq!(body, Bytes::from_static(b"{}"));
        }
    });
}

#[test]
fn a_client_that_does_not_say_which_http_is_recognised_by_its_first_bytes() {
    let (fixture, authority, _) = behind_tls(answering(), "");
    let settings = TlsSettings::trusting(&authority);
    let mut client = settings.connect(fixture.address(), "localhost").expect("a handshake");
    assert!(client.get("/v1/models").expect("an answer").starts_with("HTTP/1.1 200 "));
}

#[test]
fn each_token_leaves_before_the_next_one_is_there() {
    let script =
        |_: &Seen| Script::new().early().stream().tokens(1, Duration::ZERO).await_body().done();
    let upstream = Upstream::builder().respond_early(script);
    let (fixture, authority, _) = behind_tls(upstream, "");
    let settings = TlsSettings::trusting(&authority).alpn(&["http/1.1"]);
    let mut client = settings.connect(fixture.address(), "localhost").expect("a handshake");
    let head = "POST /v1/chat HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n";
    write!(client.0, "{head}2\r\n{{}}\r\n").expect("it reads");
    client.read_to("\"content\":\" token\"").expect("a token, while the request goes on");
    write!(client.0, "0\r\n\r\n").expect("it reads");
    client.read_to("data: [DONE]\n\n\r\n0\r\n\r\n").expect("the end");
}

#[test]
fn a_cut_answer_ends_without_the_word_that_ends_tls() {
    let script = Script::new().stream().tokens(2, Duration::ZERO).cut(Cut::Rst);
    let (fixture, authority, _) = behind_tls(Upstream::builder().script(script), "");
    let settings = TlsSettings::trusting(&authority).alpn(&["http/1.1"]);
    let mut client = settings.connect(fixture.address(), "localhost").expect("a handshake");
    write!(client.0, "GET /v1/chat HTTP/1.1\r\nhost: localhost\r\n\r\n").expect("it reads");
    let mut answer = Vec::new();
    let end = client.0.read_to_end(&mut answer).expect_err("no close_notify");
    assert!([ErrorKind::UnexpectedEof, ErrorKind::ConnectionReset].contains(&end.kind()));
    assert!(!answer.ends_with(b"0\r\n\r\n"));
}

#[test]
fn a_whole_answer_that_is_the_last_ends_with_it() {
    let (fixture, authority, _) = behind_tls(answering(), "");
    let settings = TlsSettings::trusting(&authority).alpn(&["http/1.1"]);
    let mut client = settings.connect(fixture.address(), "localhost").expect("a handshake");
    let head = "GET /v1/chat HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    client.0.write_all(head.as_bytes()).expect("it reads");
    let mut answer = Vec::new();
    client.0.read_to_end(&mut answer).expect("close_notify");
    assert!(answer.ends_with(b"{}"));
}

#[test]
fn who_leaves_is_noticed_under_tls_and_cancelled_upstream() {
    let script = Script::new().stream().tokens(1, Duration::ZERO).stall();
    let (fixture, authority, _) = behind_tls(Upstream::builder().script(script), "");
    let settings = TlsSettings::trusting(&authority).alpn(&["http/1.1"]);
    let mut client = settings.connect(fixture.address(), "localhost").expect("a handshake");
    write!(client.0, "GET /v1/chat HTTP/1.1\r\nhost: localhost\r\n\r\n").expect("it reads");
    client.read_to("\"content\":\" token\"").expect("a token");
    drop(client);
    assert!(fixture.upstream.wait_for_cancel(0, PATIENCE).is_some(), "it is not cancelled");
}

#[test]
fn who_does_not_read_is_given_up_under_tls_too() {
    let script = Script::new().stream().tokens_of(4000, Duration::ZERO, 16 * 1024).done();
    let more = "client: { write_stall: 500ms }\n";
    let (fixture, authority, _) = behind_tls(Upstream::builder().script(script), more);
    let settings = TlsSettings::trusting(&authority).alpn(&["http/1.1"]);
    let mut client = settings.connect(fixture.address(), "localhost").expect("a handshake");
    write!(client.0, "GET /v1/chat HTTP/1.1\r\nhost: localhost\r\n\r\n").expect("it reads");
    assert!(fixture.upstream.wait_for_cancel(0, PATIENCE).is_some(), "it is not given up");
    let log = fixture.access_log();
    assert_eq!(log[0]["error"], "client_stalled", "{log:?}");
}

#[test]
fn a_large_request_goes_up_whole() {
    let upstream = Upstream::builder()
        .respond(|seen: &Seen| Script::new().answer(200, &[], format!("{}", seen.body.len())));
    let (fixture, authority, _) = behind_tls(upstream, "");
    let settings = TlsSettings::trusting(&authority).alpn(&["http/1.1"]);
    let mut client = settings.connect(fixture.address(), "localhost").expect("a handshake");
    let body = vec![b'x'; 3_000_000];
    let head = format!(
        "POST /v1/chat HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    client.0.write_all(head.as_bytes()).expect("it reads");
    client.0.write_all(&body).expect("it reads");
    let mut answer = String::new();
    client.0.read_to_string(&mut answer).expect("an answer");
    assert!(answer.ends_with("\r\n\r\n3000000"), "{answer}");
}

#[test]
fn http_without_tls_is_told_so_in_words() {
    let (fixture, _, _) = behind_tls(answering(), "");
    let mut stream = fixture.connect();
    stream.write_all(b"GET /v1/models HTTP/1.1\r\nhost: localhost\r\n\r\n").expect("it reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    assert!(answer.contains("\"no_tls\"") && answer.contains("https://"), "{answer}");
    assert_eq!(handshakes(&fixture, "clear"), 1);
    assert_eq!(fixture.upstream.requests(), 0);
}

#[test]
fn who_says_nothing_or_half_a_hello_is_closed_after_the_time_for_a_head() {
    let (fixture, _, _) = behind_tls(answering(), "client: { head: 300ms }\n");
    let gone = |stream: &mut TcpStream| {
        let begun = Instant::now();
        let read = stream.read(&mut [0; 16]);
        assert!(read.is_err() || read.is_ok_and(|read| read == 0), "it is closed");
        begun.elapsed()
    };
    let mut silent = fixture.connect();
    let mut half = fixture.connect();
    half.write_all(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03").expect("it reads");
    assert!(gone(&mut silent) < PATIENCE && gone(&mut half) < PATIENCE);
    fixture.wait_until("both are counted", |fixture| handshakes(fixture, "unfinished") == 2);
}

#[test]
fn nonsense_in_place_of_a_hello_is_answered_with_an_alert() {
    let (fixture, _, _) = behind_tls(answering(), "");
    let mut stream = fixture.connect();
    stream.write_all(b"\x16\x03\x01\x00\x04\x01\x00\x00\x00").expect("it reads");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("an alert");
    assert_eq!(answer.first(), Some(&21), "{answer:?}");
    fixture.wait_until("it is counted", |fixture| handshakes(fixture, "failed") == 1);
}

#[test]
fn the_name_that_is_asked_for_chooses_the_certificate() {
    let (folder, authority) = (scratch(), Authority::new("ours"));
    let [first, second, third] = [&["localhost"][..], &["b.test"], &["*.c.test", "c.test"]]
        .map(|names| authority.server(names));
    for (issued, name) in [(&first, "first"), (&second, "second"), (&third, "third")] {
        issued.write(&folder, name);
    }
    let upstream = clear(answering());
    let text = text(&upstream, &listen(&folder, &["first", "second", "third"], ""), "");
    let fixture = ready(upstream, &text);
    let settings = TlsSettings::trusting(&authority);
    for (name, issued) in [
        ("localhost", &first),
        ("b.test", &second),
        ("B.Test", &second),
        ("c.test", &third),
        ("any.c.test", &third),
    ] {
        let client = settings.connect(fixture.address(), name).expect("a handshake");
        assert_eq!(client.certificate().as_ref(), Some(&issued.certificate), "{name}");
    }
    for other in ["other.test", "a.b.c.test"] {
        let refused = settings.connect(fixture.address(), other).map(drop).expect_err("its name");
        assert!(refused.to_string().contains("certificate"), "{refused}");
    }
}
