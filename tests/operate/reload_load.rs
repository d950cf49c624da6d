//! A hundred reloads under load: no stream is cut, no request fails, none waits for a connect.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use loadtest::upstream::{Script, Seen, Upstream};

use crate::support::fixture::{Fixture, PATIENCE};
use crate::support::message::Ask;
use crate::support::peers::http1_client::Http1;

/// What promise 20 says.
const RELOADS: usize = 100;

/// A stream that lasts until its request ends, or one that is over soon.
fn upstream() -> Upstream {
    let respond = |seen: &Seen| match seen.path_only() {
        "/v1/long" => Script::new().early().stream().tokens(1, Duration::ZERO).await_body().done(),
        _ => Script::new().stream().tokens(5, Duration::from_micros(500)).done(),
    };
    Upstream::builder().clear().http2().respond_early(respond).start().expect("it starts")
}

/// With connections that are replaced for a reload, and for no number of requests.
fn file(upstream: &Upstream, pool: &str, more: &str) -> String {
    format!(
        "listen: 127.0.0.1:0\nadmin: 127.0.0.1:0\nworkers: 2\naccess_log: off\nupstreams:\n  \
         a: {{ url: '{}/v1', protocol: http2, pool: {{ max_requests: 1000000{pool} }}{more} }}\nroutes: [{{ path: /v1, upstream: a }}]\n",
        upstream.url()
    )
}

/// Asks for short streams, one after the other, on connections old and new; counts those that came whole.
fn ask_on(address: SocketAddr, stop: &AtomicBool, whole: &AtomicU64) {
    let ask = Ask::post("/v1/chat/completions", r#"{"stream":true}"#);
    let connect = || {
        let stream = TcpStream::connect(address).expect("the proxy listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
        Http1::new(stream)
    };
    let mut kept = connect();
    while !stop.load(Ordering::Relaxed) {
        for answer in [kept.ask(&ask), connect().ask(&ask)] {
            assert_eq!(answer.status, 200);
            assert!(answer.body().ends_with(b"data: [DONE]\n\n"), "it was cut");
            whole.fetch_add(1, Ordering::Relaxed);
        }
    }
}

fn read_to(stream: &mut TcpStream, end: &str) {
    let (mut text, mut byte) = (Vec::new(), [0]);
    while !text.ends_with(end.as_bytes()) {
        stream.read_exact(&mut byte).expect("the stream goes on");
        text.push(byte[0]);
    }
}

/// Reloads between two files under load; the upstream connections that were made.
fn reloads(before: impl Fn(&Upstream) -> String, after: impl Fn(&Upstream) -> String) -> usize {
    let upstream = upstream();
    let files = [after(&upstream), before(&upstream)];
    let fixture = Fixture::of_file(upstream, &files[1]);
    assert!(fixture.proxy.wait_ready(PATIENCE));
    let (stop, whole) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let clients: Vec<_> = (0..4)
        .map(|_| {
            let (address, stop, whole) = (fixture.address(), Arc::clone(&stop), Arc::clone(&whole));
            thread::spawn(move || ask_on(address, &stop, &whole))
        })
        .collect();
    let mut lasting: Vec<_> = (0..8).map(|_| fixture.connect()).collect();
    for stream in &mut lasting {
        let head =
            "POST /v1/long HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n";
        write!(stream, "{head}2\r\n{{}}\r\n").expect("the proxy reads");
        read_to(stream, "\"content\":\" token\"");
    }
    for nth in 0..RELOADS {
        fixture.write_file("firstbyte.yaml", &files[nth % 2]);
        let (status, page) = fixture.ask_admin("POST", "/reload");
        assert!(status == 200 && page.contains(r#""cold":[]"#), "{page}");
        let so_far = whole.load(Ordering::Relaxed);
        fixture.wait_until("more was answered", |_| whole.load(Ordering::Relaxed) > so_far + 1);
    }
    for stream in &mut lasting {
        stream.write_all(b"0\r\n\r\n").expect("the proxy reads");
        read_to(stream, "data: [DONE]\n\n\r\n0\r\n\r\n");
    }
    stop.store(true, Ordering::Relaxed);
    for client in clients {
        client.join().expect("every answer came whole");
    }
    let whole = whole.load(Ordering::Relaxed) + lasting.len() as u64;
    let complete = r#"firstbyte_stream_end_total{outcome="complete"}"#;
    fixture.wait_until("all are told", |fixture| fixture.count(complete) == whole);
    assert_eq!(fixture.count(r#"firstbyte_reloads_total{result="applied"}"#), RELOADS as u64);
    assert_eq!(fixture.count(r#"firstbyte_cold_requests_total{upstream="a"}"#), 0);
    let idle = |fixture: &Fixture| fixture.count("firstbyte_client_connections") == 0;
    drop(lasting);
    fixture.wait_until("all have left", idle);
    let last = |log: &loadtest::upstream::Log| log.open_connections() == 4;
    assert!(
        fixture.upstream.wait_for(last, PATIENCE),
        "two for each worker, and none is left over"
    );
    fixture.upstream.log().connections.len()
}

#[test]
fn a_hundred_reloads_that_change_a_key_and_a_deadline_cut_nothing_and_keep_the_pool() {
    let connections = reloads(
        |upstream| file(upstream, "", ", key: sk-one"),
        |upstream| file(upstream, "", ", key: sk-two, deadlines: { response_head: 1m }"),
    );
    assert_eq!(connections, 4, "no connection was made after the start");
}

#[test]
fn a_hundred_reloads_that_replace_the_pool_cut_nothing_and_let_nobody_wait() {
    let connections = reloads(
        |upstream| file(upstream, "", ""),
        |upstream| file(upstream, ", streams_per_connection: 63", ""),
    );
    assert!(connections >= 4 * RELOADS, "{connections}: each reload made its own");
}
