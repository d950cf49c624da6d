//! The client against peers that say exactly what a test wants, on the wire.

use std::time::Duration;

use crate::peers::{Http1Peer, http2_peer};
use loadtest::client::{
    FailureKind, Mono, Pool, Protocol, Request, SendOptions, Target, Trace, fetch,
};

const HEAD: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\
    transfer-encoding: chunked\r\n\r\n";

fn chunk(data: &str) -> String {
    format!("{:x}\r\n{data}\r\n", data.len())
}

fn event(text: &str) -> String {
    chunk(&format!("data: {{\"choices\":[{{\"delta\":{{\"content\":\"{text}\"}}}}]}}\n\n"))
}

fn end() -> String {
    chunk("data: [DONE]\n\n") + "0\r\n\r\n"
}

fn ask() -> Request {
    Request::post("/v1/chat/completions", "{\"stream\":true}").unwrap()
}

fn target(url: &str) -> Target {
    Target::new(url).unwrap()
}

#[tokio::test]
async fn a_stream_is_stamped_in_the_order_in_which_it_came() {
    let peer = Http1Peer::start(vec![vec![HEAD.into(), event("a"), event("b"), end()]]).await;
    let mut trace = Trace::default();
    let outcome = fetch(&target(&peer.url), &ask(), &mut trace).await;
    assert!(outcome.ok(), "{outcome:?}");
    assert_eq!((outcome.events, outcome.contents, outcome.done), (3, 2, true));
    let stamps = outcome.stamps;
    let order = [
        Some(stamps.due),
        Some(stamps.started),
        stamps.connected,
        stamps.sent,
        stamps.head,
        stamps.first_body,
        stamps.last_content,
        Some(stamps.end),
    ]
    .map(Option::unwrap);
    assert!(order.is_sorted(), "{stamps:?}");
    assert!(stamps.first_content.unwrap() < stamps.last_content.unwrap(), "sent 20 ms apart");
    assert_eq!(outcome.bytes as usize, trace.body.len());
    assert_eq!(trace.gaps.len(), 2);
    assert!(peer.heard(0).await.starts_with("POST /v1/chat/completions HTTP/1.1\r\nhost: 127."));
}

#[tokio::test]
async fn a_cut_answer_is_seen_as_a_failure() {
    for (said, kind) in [
        (vec![], FailureKind::NoHead),
        (vec!["HTTP/1.1 200".to_owned()], FailureKind::NoHead),
        (vec![HEAD.into(), event("a")], FailureKind::Reset),
        (vec![HEAD.into(), "7f\r\ndata".into()], FailureKind::Reset),
        (vec![HEAD.into(), event("a"), "0\r\n\r\n".into()], FailureKind::NoDone),
        (vec![HEAD.into(), "zz\r\n".into()], FailureKind::Protocol),
    ] {
        let peer = Http1Peer::start(vec![said.clone()]).await;
        let outcome = fetch(&target(&peer.url), &ask(), &mut ()).await;
        assert_eq!(outcome.failed(), Some(kind), "{said:?}");
    }
}

#[tokio::test]
async fn nobody_listening_is_a_failure_to_connect() {
    let url = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}", listener.local_addr().unwrap())
    };
    let outcome = fetch(&target(&url), &ask(), &mut ()).await;
    assert_eq!(outcome.failed(), Some(FailureKind::Connect));
}

#[tokio::test]
async fn an_answer_that_never_ends_times_out_with_what_it_showed() {
    let peer = Http1Peer::start_open(vec![vec![HEAD.into(), event("a")]]).await;
    let pool = Pool::warm(target(&peer.url));
    let options = SendOptions { timeout: Duration::from_millis(300), ..SendOptions::default() };
    let outcome = pool.send(&ask(), Mono::now(), &options, &mut ()).await;
    assert_eq!(outcome.failed(), Some(FailureKind::Timeout));
    assert_eq!((outcome.status, outcome.contents), (Some(200), 1));
}

#[tokio::test]
async fn a_warm_pool_uses_one_connection_and_a_cold_one_a_new_each_time() {
    let answer = || vec![HEAD.to_owned() + &event("a") + &end()];
    for (cold, connections) in [(false, 1), (true, 3)] {
        let peer = Http1Peer::start(vec![answer(), answer(), answer()]).await;
        let target = target(&peer.url);
        let pool = if cold { Pool::cold(target) } else { Pool::warm(target) };
        for nth in 0..3 {
            let outcome = pool.send(&ask(), Mono::now(), &SendOptions::default(), &mut ()).await;
            assert!(outcome.ok(), "{outcome:?}");
            assert_eq!(outcome.warm(), !cold && nth > 0);
        }
        assert_eq!(pool.opened(), connections);
    }
}

#[tokio::test]
async fn the_mocks_digest_tells_a_changed_byte() {
    use sha2::{Digest, Sha256};
    let first = "data: {\"choices\":[]}\n\n";
    let digest =
        Sha256::digest(first).iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
    let last = format!("data: {{\"mock\":{{\"sha256\":\"{digest}\"}}}}\n\n");
    let options = SendOptions { hash: true, ..SendOptions::default() };
    for (sent, expected) in
        [(first, None), ("data: {\"choices\":{}}\n\n", Some(FailureKind::Mismatch))]
    {
        let said = vec![HEAD.to_owned() + &chunk(sent) + &chunk(&last) + &end()];
        let peer = Http1Peer::start(vec![said]).await;
        let pool = Pool::warm(target(&peer.url));
        let outcome = pool.send(&ask(), Mono::now(), &options, &mut ()).await;
        assert_eq!(outcome.failed(), expected);
        assert!(outcome.sha256.is_some());
    }
}

#[tokio::test]
async fn http2_streams_share_one_connection_and_a_reset_is_a_failure() {
    let url = http2_peer().await;
    let pool = Pool::warm(target(&url).speaking(Protocol::Http2));
    let (mut trace, options) = (Trace::default(), SendOptions::default());
    let whole = pool.send(&ask(), Mono::now(), &options, &mut trace).await;
    assert!(whole.ok(), "{whole:?}");
    assert_eq!(trace.body, b"data: 1\n\ndata: [DONE]\n\n");
    let cut = Request::get("/cut").unwrap();
    let outcome = pool.send(&cut, Mono::now(), &options, &mut ()).await;
    assert_eq!(outcome.failed(), Some(FailureKind::Reset), "{outcome:?}");
    let refused = Request::get("/refuse").unwrap();
    let outcome = pool.send(&refused, Mono::now(), &options, &mut ()).await;
    assert_eq!(outcome.failed(), Some(FailureKind::NoHead), "{outcome:?}");
    assert_eq!(pool.opened(), 1, "a reset stream does not cost the connection");
}

#[tokio::test]
async fn a_large_body_goes_up_whole_in_both_protocols() {
    let body = vec![b'x'; 3 * 1024 * 1024];
    let upload = Request::post("/length", body.clone()).unwrap();
    let mut trace = Trace::default();
    let url = http2_peer().await;
    let outcome = fetch(&target(&url).speaking(Protocol::Http2), &upload, &mut trace).await;
    assert!(outcome.ok(), "{outcome:?}");
    assert_eq!(trace.body, body.len().to_string().as_bytes());

    let peer = Http1Peer::start(vec![vec!["HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n".into()]]);
    let peer = peer.await;
    let outcome = fetch(&target(&peer.url), &upload, &mut ()).await;
    assert!(outcome.ok(), "{outcome:?}");
    assert!(peer.heard(0).await.ends_with(std::str::from_utf8(&body).unwrap()));
}
