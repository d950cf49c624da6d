//! Answers that go as they should.

use crate::client::{H2Client, SOON, http1_request};
use std::time::Duration;

use loadtest::upstream::{End, Log, Script, Upstream};

#[tokio::test]
async fn a_standard_stream_arrives_over_tls_and_http2_and_verifies() {
    let upstream = Upstream::builder().tls().http2().tokens(5).start().unwrap();
    let client = H2Client::connect(&upstream).await;
    let answer = client.post("/v1/chat/completions", r#"{"model":"m","stream":true}"#).await;
    let answer = answer.collect().await.unwrap();
    assert_eq!(answer.status, 200);
    assert_eq!(answer.frames.len(), 7);
    assert!(answer.ends_with_done());
    assert_eq!(answer.claimed_sha256(), answer.actual_sha256());
}

#[tokio::test]
async fn a_standard_stream_arrives_in_clear_over_http1() {
    let upstream = Upstream::builder().clear().http1().tokens(5).start().unwrap();
    let answer =
        http1_request(&upstream, "POST", "/v1/chat/completions", r#"{"stream":true}"#).await;
    assert!(answer.head.starts_with("HTTP/1.1 200 OK\r\n"));
    assert!(answer.ended_cleanly);
    assert!(answer.text().ends_with("data: [DONE]\n\n"));
}

#[tokio::test]
async fn the_log_says_what_was_asked_and_how_it_ended() {
    let upstream =
        Upstream::builder().script(Script::new().answer(200, &[], "ok")).start().unwrap();
    let client = H2Client::connect(&upstream).await;
    client.post("/v1/thing?x=1", "four").await.collect().await.unwrap();
    assert!(upstream.seen(|log| log.requests.iter().any(|seen| seen.end.is_some()), SOON).await);
    let log = upstream.log();
    let seen = &log.requests[0];
    assert_eq!((seen.method.as_str(), seen.path.as_str()), ("POST", "/v1/thing?x=1"));
    assert_eq!((&seen.body[..], seen.body_len), (&b"four"[..], 4));
    assert_eq!(seen.end, Some(End::Finished));
    assert_eq!(log.connections[0].alpn.as_deref(), Some("h2"));
}

#[tokio::test]
async fn the_pace_is_held_by_deadline_and_not_by_adding_up_sleeps() {
    let gap = Duration::from_millis(1);
    let script = Script::new().stream().tokens(200, gap).done();
    let upstream = Upstream::builder().clear().http2().script(script).start().unwrap();
    let client = H2Client::connect(&upstream).await;
    let pending = client.post("/v1/chat/completions", "{}").await;
    let begun = |log: &Log| log.requests.iter().any(|seen| seen.frames > 3);
    assert!(upstream.seen(begun, SOON).await);
    upstream.freeze();
    tokio::time::sleep(gap * 50).await;
    upstream.thaw();

    let body = String::from_utf8(pending.collect().await.unwrap().body()).unwrap();
    let numbers = |field: &str| -> Vec<u64> {
        let field = format!("{field}\":\"");
        body.split(&field).skip(1).map(|rest| rest[..20].parse().unwrap()).collect()
    };
    let (sent, received) = (numbers("sent_ns"), numbers("recv_ns")[0]);
    assert!(sent.is_sorted());
    let early = (0..200).filter(|n| sent[*n] < received + *n as u64 * 1_000_000);
    assert_eq!(early.count(), 0, "a frame left before it was due");
    // What fell due while nothing could be sent left at once, when it could; sleeps that add up never catch up.
    let burst = sent.chunk_by(|a, b| a == b).map(<[u64]>::len).max().unwrap();
    assert!(burst >= 25, "the largest burst after 50 missed deadlines is {burst}");
}

#[tokio::test]
async fn frames_due_together_are_frames_of_their_own_unless_packed() {
    for (pack, frames) in [(1, 100 + 2), (10, 10 + 2)] {
        let upstream = Upstream::builder().tls().tokens(100).pack(pack).start().unwrap();
        let client = H2Client::connect(&upstream).await;
        let answer = client.post("/v1/chat/completions", r#"{"stream":true}"#).await;
        let answer = answer.collect().await.unwrap();
        assert_eq!(answer.frames.len(), frames);
        assert_eq!(answer.claimed_sha256(), answer.actual_sha256());
    }
}
