//! The path of a request that goes well.

use std::io::{Read, Write};

use loadtest::upstream::Upstream;

use crate::support::fixture::{Fixture, KEY};

#[test]
fn a_stream_comes_through_whole_and_is_recorded_once() {
    let fixture = Fixture::start(Upstream::builder().tokens(5));
    let mut client = fixture.connect();
    let body = br#"{"model":"m","stream":true,"messages":[{"role":"user","content":"hi"}]}"#;
    write!(
        client,
        "POST /v1/chat/completions HTTP/1.1\r\nhost: proxy\r\nauthorization: Bearer theirs\r\n\
         content-type: application/json\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        body.len()
    )
    .expect("the proxy reads");
    client.write_all(body).expect("the proxy reads");
    let mut answer = String::new();
    client.read_to_string(&mut answer).expect("a clean end");
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.ends_with("data: [DONE]\n\n\r\n0\r\n\r\n"), "{answer}");
    let log = fixture.upstream.log();
    println!("{log:?}");
    let (_, metrics) = fixture.admin("/metrics");
    println!("{metrics}");
    let lines = fixture.access_log();
    println!("{lines:?}");
    assert_eq!(lines.len(), 1);
    assert_eq!(lines[0]["outcome"], "complete");
    assert!(!answer.contains(KEY));
}
