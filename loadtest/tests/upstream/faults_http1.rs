//! Every way an HTTP/1.1 peer can break an answer.

use std::io::ErrorKind;
use std::time::Duration;

use loadtest::tls::HTTP_1_1;
use loadtest::upstream::{Cut, Goaway, Head, Script, Step, Upstream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::client::{H2Client, Http1Answer, SOON, http1_connect, http1_read, http1_request};

const NOW: Duration = Duration::ZERO;

fn upstream(script: Script) -> Upstream {
    Upstream::builder().clear().http1().script(script).start().unwrap()
}

async fn ask(script: Script) -> Http1Answer {
    http1_request(&upstream(script), "POST", "/v1/chat/completions", "{}").await
}

fn begun() -> Script {
    Script::new().stream().tokens(3, NOW)
}

#[tokio::test]
async fn no_cut_ever_looks_like_an_end() {
    for how in [Cut::Fin, Cut::Rst, Cut::MidFrame, Cut::NoCloseNotify] {
        let answer = ask(begun().cut(how)).await;
        assert!(!answer.ended_cleanly, "{how:?}");
        let expected =
            if how == Cut::Rst { ErrorKind::ConnectionReset } else { ErrorKind::UnexpectedEof };
        assert_eq!(answer.error, Some(expected), "{how:?}");
    }
}

#[tokio::test]
async fn under_tls_an_end_can_lack_its_close_notify() {
    let head = Head { until_close: true, ..Head::new(200) };
    let begun = Script::new().step(Step::Head(head)).body("half");
    for (how, honest) in [(Cut::Fin, true), (Cut::NoCloseNotify, false)] {
        let script = begun.clone().cut(how);
        let upstream = Upstream::builder().tls().http1().script(script).start().unwrap();
        let mut tls = H2Client::try_tls(&upstream, HTTP_1_1).await.unwrap();
        tls.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        let mut answer = Vec::new();
        let read = tls.read_to_end(&mut answer).await;
        assert!(answer.ends_with(b"half"));
        assert_eq!(read.is_ok(), honest, "{how:?}");
    }
}

#[tokio::test]
async fn a_truncated_chunk_has_less_than_it_says() {
    let answer = ask(Script::new().stream().body("whole").cut(Cut::MidFrame)).await;
    assert_eq!(answer.body.len(), 5 + 100);
    assert!(!answer.ended_cleanly);
}

#[tokio::test]
async fn a_length_that_is_not_kept_ends_in_a_close() {
    let script = Script::new().head(200, &[("content-length", "1000")]).body("short").finish();
    let answer = ask(script).await;
    assert_eq!((answer.body.as_slice(), answer.ended_cleanly), (&b"short"[..], false));
}

#[tokio::test]
async fn a_close_before_the_head_sends_nothing() {
    let answer = ask(Script::new().cut(Cut::Fin)).await;
    assert_eq!((answer.head.as_str(), answer.body.len()), ("", 0));
}

#[tokio::test]
async fn raw_bytes_arrive_as_written() {
    let raw = "HTTP/1.1 200 OK\r\nX:  odd \r\nContent-Length: 2\r\n\r\nok";
    let answer = ask(Script::new().step(Step::Wire(raw.into()))).await;
    assert_eq!(answer.head, &raw[..raw.len() - 2]);
}

#[tokio::test]
async fn a_body_can_end_with_the_connection() {
    let head = Head { until_close: true, ..Head::new(200) };
    let answer = ask(Script::new().step(Step::Head(head)).body("all of it").finish()).await;
    assert!(answer.head.contains("connection: close\r\n"));
    assert_eq!((answer.text(), answer.error), ("all of it", Some(ErrorKind::UnexpectedEof)));
}

#[tokio::test]
async fn requests_follow_each_other_on_one_connection_also_when_pipelined() {
    let upstream = Upstream::builder()
        .clear()
        .http1()
        .respond(|seen| {
            Script::new().answer(200, &[], format!("{} {}", seen.nth_on_connection, seen.body_len))
        })
        .start()
        .unwrap();
    let mut tcp = http1_connect(&upstream).await;
    let two = "POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n\
               POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\n\r\nz";
    tcp.write_all(two.as_bytes()).await.unwrap();
    let mut seen = String::new();
    while seen.matches("HTTP/1.1 200").count() < 2 || !seen.ends_with("1 1") {
        let mut some = [0; 1024];
        let len = tcp.read(&mut some).await.unwrap();
        assert!(len > 0, "closed after {seen:?}");
        seen.push_str(std::str::from_utf8(&some[..len]).unwrap());
    }
    assert!(seen.contains("\r\n\r\n0 3HTTP/1.1"));
    assert_eq!(upstream.log().connections.len(), 1);
}

#[tokio::test]
async fn a_goaway_closes_after_the_answer() {
    let mut script = Script::new().goaway(Goaway::Graceful);
    script = script.head(200, &[("content-length", "2")]).body("ok").finish();
    let upstream = upstream(script);
    let mut tcp = http1_connect(&upstream).await;
    tcp.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let answer = http1_read(&mut tcp).await;
    assert!(answer.head.contains("connection: close"));
    assert_eq!(tcp.read(&mut [0; 1]).await.unwrap(), 0);
}

#[tokio::test]
async fn a_client_that_leaves_is_seen_also_behind_a_pipelined_byte() {
    for tail in ["", "P"] {
        let upstream = upstream(begun().stall());
        let mut tcp = http1_connect(&upstream).await;
        tcp.write_all(format!("GET / HTTP/1.1\r\nhost: x\r\n\r\n{tail}").as_bytes()).await.unwrap();
        assert!(upstream.seen(|log| log.requests.iter().any(|seen| seen.frames == 3), SOON).await);
        drop(tcp);
        assert!(upstream.seen(|log| log.requests[0].was_cancelled(), SOON).await, "{tail:?}");
    }
}

#[tokio::test]
async fn whoever_expects_a_continue_gets_one_before_sending_the_body() {
    let upstream = upstream(Script::new().answer(200, &[], "ok"));
    let mut tcp = http1_connect(&upstream).await;
    let head = "POST / HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\n";
    tcp.write_all(head.as_bytes()).await.unwrap();
    let mut interim = [0; 25];
    tcp.read_exact(&mut interim).await.unwrap();
    assert_eq!(&interim, b"HTTP/1.1 100 Continue\r\n\r\n");
    tcp.write_all(b"hi").await.unwrap();
    assert_eq!(http1_read(&mut tcp).await.text(), "ok");
}

#[tokio::test]
async fn what_is_not_http_is_refused_and_hurts_nobody() {
    let upstream = upstream(Script::new().answer(200, &[], "ok"));
    let rubbish = [
        "\0\0\0\r\n\r\n",
        "GET / HTTP/9.9\r\n\r\n",
        "GET  / HTTP/1.1\r\n broken\r\n\r\n",
        "POST / HTTP/1.1\r\ncontent-length: -1\r\n\r\n",
        "POST / HTTP/1.1\r\ncontent-length: 99999999999999999999999\r\n\r\n",
    ];
    for text in rubbish {
        let mut tcp = http1_connect(&upstream).await;
        tcp.write_all(text.as_bytes()).await.unwrap();
        let mut answer = String::new();
        tcp.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 400 "), "{text:?} → {answer:?}");
    }
    let chunks = ["zz\r\n", "-1\r\n", "3\r\nabcd\r\n", "fffffffffffffffff\r\n"];
    for text in chunks {
        let mut tcp = http1_connect(&upstream).await;
        let head = "POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n";
        tcp.write_all(format!("{head}{text}").as_bytes()).await.unwrap();
        assert_eq!(http1_read(&mut tcp).await.head, "", "{text:?}");
    }
    let answer = http1_request(&upstream, "GET", "/", "").await;
    assert_eq!(answer.text(), "ok");
}

#[tokio::test]
async fn an_echo_goes_back_while_the_request_still_arrives() {
    let upstream = upstream(Script::new().echo());
    let mut tcp = http1_connect(&upstream).await;
    tcp.write_all(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 6\r\n\r\nabc").await.unwrap();
    let mut seen = Vec::new();
    while !seen.ends_with(b"3\r\nabc\r\n") {
        assert!(tcp.read_buf(&mut seen).await.unwrap() > 0);
    }
    tcp.write_all(b"def").await.unwrap();
    while !seen.ends_with(b"3\r\ndef\r\n0\r\n\r\n") {
        assert!(tcp.read_buf(&mut seen).await.unwrap() > 0);
    }
}

#[tokio::test]
async fn an_early_answer_to_a_request_without_a_body_keeps_its_connection() {
    let upstream = upstream(Script::new().early().answer(200, &[], "ok"));
    let mut client = http1_connect(&upstream).await;
    for _ in 0..10 {
        client.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        let answer = http1_read(&mut client).await;
        assert!(answer.ended_cleanly && answer.body == b"ok");
    }
    assert_eq!(upstream.log().connections.len(), 1);
}
