//! Every way an HTTP/2 peer can break an answer.

use std::time::Duration;

use bytes::Bytes;
use h2::Reason;
use loadtest::upstream::{ConnectionEnd, Cut, End, Goaway, Log, Script, Step, Upstream};
use tokio::io::AsyncWriteExt;

use crate::client::{H2Answer, H2Client, SOON};

const NOW: Duration = Duration::ZERO;
const CANCEL: u32 = 8;

fn upstream(script: Script) -> Upstream {
    Upstream::builder().tls().http2().script(script).start().unwrap()
}

async fn ask(script: Script) -> Result<H2Answer, h2::Error> {
    let upstream = upstream(script);
    H2Client::connect(&upstream).await.post("/v1/chat/completions", "{}").await.collect().await
}

fn begun() -> Script {
    Script::new().stream().tokens(3, NOW)
}

#[tokio::test]
async fn a_reset_after_frames_delivers_the_frames_and_then_its_code() {
    let upstream = upstream(begun().reset(CANCEL));
    let client = H2Client::connect(&upstream).await;
    let (_, mut body) = client.post("/", "{}").await.head().await.unwrap();
    let mut frames = 0;
    let error = loop {
        match body.data().await {
            Some(Ok(_)) => frames += 1,
            Some(Err(error)) => break error,
            None => panic!("a reset stream ended cleanly"),
        }
    };
    assert!(frames <= 3);
    assert_eq!((error.is_reset(), error.is_remote()), (true, true));
    assert_eq!(error.reason(), Some(Reason::CANCEL));
    assert!(upstream.seen(|log| log.requests[0].end == Some(End::Scripted), SOON).await);
}

#[tokio::test]
async fn a_reset_can_come_before_the_head() {
    let error = ask(Script::new().reset(CANCEL)).await.err().unwrap();
    assert_eq!(error.reason(), Some(Reason::CANCEL));
}

#[tokio::test]
async fn a_refused_stream_says_so() {
    let error = ask(Script::new().refuse()).await.err().unwrap();
    assert_eq!(error.reason(), Some(Reason::REFUSED_STREAM));
    assert!(error.is_remote());
}

#[tokio::test]
async fn no_cut_ever_looks_like_an_end() {
    for how in [Cut::Fin, Cut::Rst, Cut::MidFrame, Cut::NoCloseNotify] {
        let error = ask(begun().cut(how)).await.err();
        assert!(error.is_some_and(|error| error.is_io()), "{how:?}");
    }
}

#[tokio::test]
async fn a_cut_can_come_before_the_head() {
    assert!(ask(Script::new().cut(Cut::Fin)).await.is_err());
}

#[tokio::test]
async fn a_length_that_is_not_kept_is_an_error() {
    let script = Script::new().head(200, &[("content-length", "1000")]).body("short").finish();
    let error = ask(script).await.err().unwrap();
    assert_eq!(error.reason(), Some(Reason::PROTOCOL_ERROR));
}

#[tokio::test]
async fn a_goaway_below_a_stream_disowns_it() {
    let script = Script::new().early().goaway(Goaway::BelowThis);
    let error = ask(script).await.err().unwrap();
    assert_eq!((error.is_go_away(), error.is_remote()), (true, true));
    assert_eq!(error.reason(), Some(Reason::NO_ERROR));
}

#[tokio::test]
async fn a_graceful_goaway_lets_the_stream_finish() {
    let script =
        begun().goaway(Goaway::Graceful).wait(Duration::from_millis(5)).tokens(3, NOW).done();
    let upstream = upstream(script);
    let client = H2Client::connect(&upstream).await;
    let answer = client.post("/", "{}").await.collect().await.unwrap();
    assert!(answer.ends_with_done());
    assert_eq!(answer.claimed_sha256(), answer.actual_sha256());
    assert!(client.connection.await.unwrap().is_ok());
}

#[tokio::test]
async fn an_abrupt_goaway_after_a_stream_lets_it_finish_and_closes() {
    let upstream = upstream(begun().goaway(Goaway::AfterThis).done());
    let client = H2Client::connect(&upstream).await;
    let answer = client.post("/", "{}").await.collect().await.unwrap();
    assert!(answer.ends_with_done());
    let closed = |log: &Log| log.open_connections() == 0;
    assert!(upstream.seen(closed, SOON).await);
}

#[tokio::test]
async fn requests_that_cross_an_abrupt_goaway_are_disowned_and_never_answered() {
    let script = Script::new().answer(200, &[], "ok");
    let builder = Upstream::builder().clear().http2().goaway_abruptly_every(3).script(script);
    let upstream = builder.start().unwrap();
    let client = H2Client::connect(&upstream).await;
    // All of them leave before anything can come back.
    let mut sent = Vec::new();
    for _ in 0..8 {
        let mut sender = client.send.clone().ready().await.unwrap();
        sent.push(sender.send_request(client.request("/").body(()).unwrap(), true).unwrap().0);
    }
    let (mut answered, mut disowned) = (0, 0);
    for response in sent {
        match response.await {
            Ok(_) => answered += 1,
            Err(error) => {
                assert_eq!((error.is_go_away(), error.is_remote()), (true, true));
                disowned += 1;
            }
        }
    }
    assert_eq!((answered, disowned), (3, 5));
    assert_eq!(upstream.requests(), 3);
}

#[tokio::test]
async fn every_hundredth_request_retires_its_connection_and_none_fails() {
    let script = Script::new().answer(200, &[], "ok");
    let upstream = Upstream::builder().http2().goaway_every(100).script(script).start().unwrap();
    for _ in 0..2 {
        let client = H2Client::connect(&upstream).await;
        for _ in 0..100 {
            assert_eq!(client.post("/", "").await.collect().await.unwrap().body(), b"ok");
        }
        assert!(client.connection.await.unwrap().is_ok());
    }
    assert_eq!(upstream.requests(), 200);
}

#[tokio::test]
async fn empty_frames_are_really_sent() {
    let with = |count| Script::new().stream().step(Step::EmptyFrames(count)).body("x").finish();
    assert_eq!(ask(with(50)).await.unwrap().body(), b"x");
    // The `h2` client does not hand them out, but the 101st of a connection is too many for it.
    let error = ask(with(150)).await.err().unwrap();
    assert_eq!(error.reason(), Some(Reason::ENHANCE_YOUR_CALM));
}

#[tokio::test]
async fn a_goaway_from_the_peer_is_logged_with_its_code() {
    let upstream = Upstream::builder().clear().http2().start().unwrap();
    let mut tcp = tokio::net::TcpStream::connect(upstream.addr()).await.unwrap();
    let settings = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    let goaway = [0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 11];
    let bytes = [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &settings[..], &goaway[..]].concat();
    tcp.write_all(&bytes).await.unwrap();
    let end = Some(ConnectionEnd::PeerGoaway { code: Reason::ENHANCE_YOUR_CALM.into() });
    let logged = |log: &Log| log.connections.first().is_some_and(|seen| seen.closed == end);
    assert!(upstream.seen(logged, SOON).await);
}

#[tokio::test]
async fn streams_beyond_the_limit_are_refused_and_counted() {
    let script = Script::new().stream().tokens(1, NOW).stall();
    let upstream = Upstream::builder().http2().stream_limit(2).script(script).start().unwrap();
    let client = H2Client::connect(&upstream).await;
    // Sent before the limit can be known: SETTINGS are read by a task that has not run yet.
    let mut sender = client.send.clone();
    let mut sent = Vec::new();
    for _ in 0..4 {
        sender = sender.ready().await.unwrap();
        let request = client.request("/").body(()).unwrap();
        sent.push(sender.send_request(request, true).unwrap().0);
    }
    let mut refused = 0;
    for response in sent {
        match response.await {
            Ok(_) => {}
            Err(error) => {
                assert_eq!(error.reason(), Some(Reason::REFUSED_STREAM));
                refused += 1;
            }
        }
    }
    assert_eq!(refused, 2);
    let log = upstream.log();
    assert_eq!((log.connections[0].peak_streams, log.connections[0].refused), (2, 2));
}

#[tokio::test]
async fn a_client_that_resets_is_seen_with_its_code_at_every_moment() {
    let before = Script::new().early().stall();
    let mid = begun().stall();
    let slow = Script::new().stream().tokens(1_000_000, Duration::from_millis(1));
    let choked = Script::new().stream().step(Step::Filler(1 << 30));
    for script in [before, mid, slow, choked] {
        let upstream = upstream(script);
        let client = H2Client::connect(&upstream).await;
        let (pending, mut upload) = client.start(client.request("/")).await;
        assert!(upstream.seen(|log| log.requests.len() == 1, SOON).await);
        upload.send_reset(Reason::CANCEL);
        let cancelled = |log: &Log| log.requests[0].was_cancelled();
        assert!(upstream.seen(cancelled, SOON).await);
        assert_eq!(upstream.log().requests[0].end, Some(End::Reset { code: CANCEL }));
        drop(pending);
    }
}

#[tokio::test]
async fn trailers_and_interim_answers_arrive() {
    let script = Script::new().informational(103).head(200, &[]).body("x").trailers(&[("a", "b")]);
    let upstream = upstream(script);
    let client = H2Client::connect(&upstream).await;
    let mut pending = client.post("/", "").await;
    let interim = std::future::poll_fn(|cx| pending.response.poll_informational(cx)).await;
    assert_eq!(interim.unwrap().unwrap().status(), 103);
    let answer = pending.collect().await.unwrap();
    assert_eq!(answer.trailers.unwrap()["a"], "b");
}

#[tokio::test]
async fn a_body_that_is_never_read_closes_its_window() {
    let upstream = upstream(Script::new().unread_body().stall());
    let client = H2Client::connect(&upstream).await;
    let (_pending, mut upload) = client.start(client.request("/")).await;
    let mut sent = 0_usize;
    loop {
        upload.reserve_capacity(64 * 1024);
        let room = std::future::poll_fn(|cx| upload.poll_capacity(cx));
        match tokio::time::timeout(Duration::from_millis(300), room).await {
            Ok(room) => {
                let room = room.unwrap().unwrap();
                sent += room;
                upload.send_data(Bytes::from(vec![0; room]), false).unwrap();
            }
            Err(_elapsed) => break,
        }
        assert!(sent < 8 << 20, "nobody reads, yet the window stays open");
    }
}

#[tokio::test]
async fn raw_frames_go_between_frames() {
    // An unknown frame type must be ignored (RFC 9113, section 4.1).
    let unknown = Bytes::from_static(&[0, 0, 2, 0xfe, 0, 0, 0, 0, 0, 1, 2]);
    let answer = ask(begun().step(Step::Wire(unknown)).tokens(2, NOW).done()).await.unwrap();
    assert_eq!(answer.claimed_sha256(), answer.actual_sha256());
}

#[tokio::test]
async fn an_error_event_is_in_the_shape_of_openai() {
    let answer = ask(begun().error_event("it broke").finish()).await.unwrap();
    let last = String::from_utf8(answer.frames.last().unwrap().to_vec()).unwrap();
    let json: serde_json::Value =
        serde_json::from_str(last.strip_prefix("data: ").unwrap()).unwrap();
    assert_eq!(json["error"]["message"], "it broke");
}

#[tokio::test]
async fn a_window_smaller_than_a_frame_splits_it_and_loses_nothing() {
    let script = Script::new().stream().tokens_of(20, NOW, 5_000).done();
    let upstream = Upstream::builder().clear().http2().script(script).start().unwrap();
    let tcp = tokio::net::TcpStream::connect(upstream.addr()).await.unwrap();
    let mut builder = h2::client::Builder::new();
    let handshake = builder.initial_window_size(1_000).handshake::<_, Bytes>(tcp);
    let (send, connection) = handshake.await.unwrap();
    let client = H2Client::over(send, connection, "http");
    let answer = client.post("/v1/chat/completions", "{}").await.collect().await.unwrap();
    assert!(answer.ends_with_done());
    assert_eq!(answer.claimed_sha256(), answer.actual_sha256());
}
