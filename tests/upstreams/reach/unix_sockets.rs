//! Upstreams on Unix sockets: as over TCP, but for the address.

use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use firstbyte::config::{Protocol, Scheme};
use loadtest::upstream::{Builder, Script, Upstream};

use crate::support::fixture::{Fixture, PATIENCE, scratch};
use crate::support::message::Ask;
use crate::support::peers::http1_client::Http1;
use crate::support::refusal::assert_failed;

fn ask() -> Ask {
    Ask::post("/v1/chat/completions", r#"{"stream":true}"#)
}

/// Listens at `path` and carries each connection to a TCP upstream; counts them. Runs until the test process
/// ends.
fn bridge(path: &Path, to: SocketAddr) -> Arc<AtomicUsize> {
    let listener = UnixListener::bind(path).expect("a socket");
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    std::thread::spawn(move || {
        for near in listener.incoming() {
            counted.fetch_add(1, Ordering::Relaxed);
            let (near, far) = (near.expect("a connection"), TcpStream::connect(to).expect("TCP"));
            far.set_nodelay(true).expect("a socket");
            std::thread::spawn(move || carry(near, far));
        }
    });
    count
}

fn carry(near: UnixStream, far: TcpStream) {
    let (mut near_out, mut far_in) =
        (near.try_clone().expect("a socket"), far.try_clone().expect("a socket"));
    let (mut near, mut far) = (near, far);
    std::thread::spawn(move || {
        let _cut = std::io::copy(&mut far_in, &mut near_out);
        let _gone = near_out.shutdown(Shutdown::Write);
    });
    let _cut = std::io::copy(&mut near, &mut far);
    let _gone = far.shutdown(Shutdown::Write);
}

fn at(path: PathBuf, protocol: Protocol) -> Fixture {
    Fixture::unready(Upstream::builder().clear(), |config| {
        let upstream = &mut config.upstreams[0];
        (upstream.scheme, upstream.port, upstream.protocol) = (Scheme::Http, 80, protocol);
        "localhost".clone_into(&mut upstream.host);
        upstream.socket = Some(path);
    })
}

fn mock() -> Builder {
    Upstream::builder().clear().tokens(5)
}

#[test]
fn requests_go_over_the_socket_on_warm_connections_by_either_protocol() {
    for (builder, protocol) in [(mock().http1(), Protocol::Auto), (mock().http2(), Protocol::Http2)]
    {
        let upstream = builder.start().expect("the mock upstream starts");
        let path = scratch().join("api.sock");
        let connections = bridge(&path, upstream.addr());
        let fixture = at(path, protocol);
        assert!(fixture.proxy.wait_ready(PATIENCE), "{protocol:?}");
        let mut client = Http1::new(fixture.connect());
        for _ in 0..10 {
            let answer = client.ask(&ask());
            assert_eq!(answer.status, 200);
            assert!(answer.body().ends_with(b"data: [DONE]\n\n"));
        }
        assert_eq!(upstream.requests(), 10);
        assert!(connections.load(Ordering::Relaxed) <= 4, "they are reused");
        let log = upstream.log();
        let seen = &log.requests[0];
        let host = seen.authority.as_deref().or_else(|| seen.header("host"));
        assert_eq!(host, Some("localhost"));
        assert_eq!(fixture.count(r#"firstbyte_cold_requests_total{upstream="openai"}"#), 0);
        drop(client);
        let line = fixture.access_log().remove(0);
        assert_eq!(line["outcome"], "complete");
        assert!(line["overhead_us"]["chunk_max"].as_f64().is_some(), "it is stamped: {line}");
    }
}

#[test]
fn a_socket_that_is_not_there_says_so_and_is_found_once_it_is() {
    let path = scratch().join("api.sock");
    let fixture = at(path.clone(), Protocol::Auto);
    let answer = Http1::new(fixture.connect()).ask(&ask());
    assert_failed(&answer, 502, "connect_refused", "socket_missing");
    let upstream = mock().http1().start().expect("the mock upstream starts");
    bridge(&path, upstream.addr());
    assert!(fixture.proxy.wait_ready(PATIENCE), "it is found");
    assert_eq!(Http1::new(fixture.connect()).ask(&ask()).status, 200);
}

#[test]
fn nobody_behind_the_socket_is_a_refusal_and_a_break_is_a_cause() {
    let path = scratch().join("api.sock");
    drop(UnixListener::bind(&path).expect("a socket"));
    let fixture = at(path, Protocol::Auto);
    let answer = Http1::new(fixture.connect()).ask(&ask());
    assert_failed(&answer, 502, "connect_refused", "refused");
    let upstream = Upstream::builder().clear().http1();
    let cuts = Script::new().cut(loadtest::upstream::Cut::Fin);
    let upstream = upstream.script(cuts).start().expect("the mock upstream starts");
    let path = scratch().join("api.sock");
    bridge(&path, upstream.addr());
    let fixture = at(path, Protocol::Auto);
    let answer = Http1::new(fixture.connect()).ask(&ask());
    assert_failed(&answer, 502, "upstream_closed", "closed");
}
