//! What a test does to an upstream from outside, and what it learns there.

use std::time::{Duration, Instant};

use loadtest::tls::{CertificateSpec, H2};
use loadtest::upstream::{ConnectionEnd, Cut, End, Log, Script, Seen, Upstream};

use tokio::io::AsyncWriteExt;

use crate::client::{H2Client, SOON, http1_connect, http1_request};

fn ok() -> Script {
    Script::new().answer(200, &[], "ok")
}

#[tokio::test]
async fn connections_can_be_cut_from_outside_and_new_ones_are_served() {
    let decide = |seen: &Seen| if seen.path == "/stall" { Script::new().stall() } else { ok() };
    let upstream = Upstream::builder().respond(decide).start().unwrap();
    let client = H2Client::connect(&upstream).await;
    client.post("/", "").await.collect().await.unwrap();
    let stalled = client.post("/stall", "").await;
    assert!(upstream.seen(|log| log.requests.len() == 2, SOON).await);
    upstream.cut_all(Cut::Rst);
    assert!(stalled.collect().await.is_err());
    assert!(client.connection.await.unwrap().is_err());
    assert!(upstream.seen(|log| log.open_connections() == 0, SOON).await);
    assert_eq!(upstream.log().connections[0].closed, Some(ConnectionEnd::Scripted));
    assert_eq!(upstream.log().requests[1].end, Some(End::Scripted));
    let again = H2Client::connect(&upstream).await;
    assert_eq!(again.post("/", "").await.collect().await.unwrap().status, 200);
}

#[tokio::test]
async fn idle_connections_can_be_retired() {
    let upstream = Upstream::builder().clear().script(ok()).start().unwrap();
    let client = H2Client::connect(&upstream).await;
    let idle = http1_connect(&upstream).await;
    client.post("/", "").await.collect().await.unwrap();
    // Nothing tells which protocol a silent connection in clear will speak.
    drop(idle);
    upstream.retire_all();
    assert!(client.connection.await.unwrap().is_ok());
}

#[tokio::test]
async fn a_frozen_upstream_says_nothing_until_it_is_thawed() {
    let upstream = Upstream::builder().script(ok()).start().unwrap();
    let client = H2Client::connect(&upstream).await;
    client.post("/", "").await.collect().await.unwrap();
    upstream.freeze();
    let mut answer = Box::pin(client.post("/", "").await.collect());
    let patience = Duration::from_millis(200);
    assert!(tokio::time::timeout(patience, &mut answer).await.is_err());
    upstream.thaw();
    assert_eq!(answer.await.unwrap().status, 200);
}

#[test]
fn a_panic_in_a_decision_is_raised_where_the_upstream_is_joined() {
    let upstream = Upstream::builder().respond(|_| panic!("out of ideas")).start().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let client = H2Client::connect(&upstream).await;
        assert!(client.post("/", "").await.collect().await.is_err());
    });
    let raised = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| upstream.join()));
    assert_eq!(raised.unwrap_err().downcast_ref::<&str>(), Some(&"out of ideas"));
}

#[test]
fn a_thread_can_block_on_the_log_without_polling() {
    let upstream =
        Upstream::builder().clear().script(Script::new().early().stall()).start().unwrap();
    let addr = upstream.addr();
    let client = std::thread::spawn(move || {
        use std::io::Write;
        let mut tcp = std::net::TcpStream::connect(addr).unwrap();
        tcp.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
        tcp
    });
    assert!(upstream.wait_for(|log: &Log| log.open_requests() == 1, SOON));
    drop(client.join().unwrap());
    assert!(upstream.wait_for_cancel(0, SOON).is_some());
    assert!(!upstream.wait_for(|log| log.requests.len() > 1, Duration::from_millis(1)));
}

#[tokio::test]
async fn without_a_log_nothing_is_kept_but_requests_are_counted() {
    let upstream = Upstream::builder().clear().http1().log(false).script(ok()).start().unwrap();
    http1_request(&upstream, "GET", "/", "").await;
    assert_eq!((upstream.log().requests.len(), upstream.requests()), (0, 1));
}

#[tokio::test]
async fn odd_certificates_are_refused_by_clients_that_check() {
    let names = CertificateSpec { names: Some(vec!["elsewhere.test".to_owned()]), expired: false };
    let expired = CertificateSpec { names: None, expired: true };
    for spec in [names, expired] {
        let upstream = Upstream::builder().certificate(spec).start().unwrap();
        assert!(H2Client::try_tls(&upstream, H2).await.is_err());
        let failed = |log: &Log| {
            matches!(
                log.connections.first().and_then(|c| c.closed.as_ref()),
                Some(ConnectionEnd::Failed(_))
            )
        };
        assert!(upstream.seen(failed, SOON).await);
    }
}

#[tokio::test]
async fn a_silent_upstream_accepts_and_never_shakes_hands() {
    let upstream = Upstream::builder().silent_handshake().start().unwrap();
    let patience = Duration::from_millis(200);
    assert!(tokio::time::timeout(patience, H2Client::try_tls(&upstream, H2)).await.is_err());
    assert_eq!(upstream.log().connections.len(), 1);
}

#[tokio::test]
async fn the_clear_port_tells_both_versions_apart() {
    let upstream = Upstream::builder().clear().script(ok()).start().unwrap();
    let over_2 = H2Client::connect(&upstream).await.post("/", "").await.collect().await.unwrap();
    let over_1 = http1_request(&upstream, "POST", "/", "").await;
    assert_eq!((over_2.body().as_slice(), over_1.text()), (&b"ok"[..], "ok"));
    let log = upstream.log();
    assert_eq!((log.connections[0].http2, log.connections[1].http2), (true, false));
}

#[test]
fn the_upstream_accounts_for_its_own_cpu_time() {
    let upstream = Upstream::builder().clear().start().unwrap();
    // The kernel tells of a thread's time once that has given its core away.
    let deadline = Instant::now() + Duration::from_secs(30);
    while upstream.cpu_time().unwrap() == Duration::ZERO {
        assert!(Instant::now() < deadline, "it never has");
        std::thread::yield_now();
    }
}

#[tokio::test]
async fn rubbish_of_any_kind_never_makes_it_panic() {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let beginnings: [&[u8]; 4] = [
        b"",
        b"POST /v1/chat/completions HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0",
        b"POST / HTTP/1.1\r\ncontent-length: 100\r\n\r\n",
    ];
    let upstream = Upstream::builder().clear().start().unwrap();
    for round in 0..200 {
        let mut bytes = beginnings[round % 4].to_vec();
        let len = random() % 300;
        bytes.extend((0..len).map(|_| random().to_le_bytes()[0]));
        let mut tcp = http1_connect(&upstream).await;
        // It may have hung up on us half-way.
        let _ = tcp.write_all(&bytes).await;
        let _ = tcp.shutdown().await;
    }
    let over_1 = http1_request(&upstream, "GET", "/health", "").await;
    assert!(over_1.head.starts_with("HTTP/1.1 200 "));
    assert!(upstream.seen(|log| log.connections.len() == 201, SOON).await);
    upstream.join();
}
