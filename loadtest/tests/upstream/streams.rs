//! Answers that go as they should.

use crate::client::{H2Client, SOON, http1_request};
use loadtest::upstream::{End, Script, Upstream};

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
