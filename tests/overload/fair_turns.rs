//! One worker, and on it a peer that gives as many and as small pieces as it can without an end: its
//! neighbours are served all the same, whichever parser takes the pieces.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use firstbyte::config::Protocol;
use loadtest::upstream::Upstream;

use crate::support::fixture::Fixture;
use crate::support::peers::raw_http1::Client;
use crate::support::peers::raw_upstream::{frame, lead_to};
use crate::support::size;
use crate::upstreams::hostile::{self, Frames, Progress};

/// Answers that a neighbour is to get, and how long it asks at least and at most. Where the worker turns
/// fairly that is half a second, and a few on a machine that others keep busy; where it doesn't, a
/// neighbour waited seconds for each.
const ANSWERS: usize = 50;
const AT_LEAST: Duration = Duration::from_millis(500);
const AT_MOST: Duration = Duration::from_secs(10);

/// Or how far the hostile peer gets between two answers: a few turns. Whoever has to wait for the machine,
/// so has the peer.
const BYTES: u64 = 512 * 1024;

const CHUNKED: &[u8] = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";

/// Dropped, it ends the hostile peer: also where the test fails.
#[derive(Default)]
struct Stop(Arc<AtomicBool>);

impl Drop for Stop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Answers that a client gets one after the other, and how long it waited for each. What answers is the
/// worker itself.
fn waits(address: SocketAddr) -> Vec<Duration> {
    let mut client = Client::to(address);
    let (begun, mut waits) = (Instant::now(), Vec::new());
    while begun.elapsed() < AT_LEAST || (waits.len() < ANSWERS && begun.elapsed() < AT_MOST) {
        let asked = Instant::now();
        client.ask("/nowhere", b"");
        assert_eq!(client.answer().map(|answer| answer.status), Some(404));
        waits.push(asked.elapsed());
    }
    waits
}

/// Has a neighbour ask beside a peer whose connections follow each other.
fn assert_fair(
    what: &str,
    fixture: &Fixture,
    progress: &Progress,
    hostile: impl Fn(SocketAddr, &Arc<AtomicBool>) + Send + 'static,
) {
    let address = fixture.address();
    let stop = Stop::default();
    let (before, told) = (progress.bytes(), Arc::clone(&stop.0));
    let attack = std::thread::spawn(move || {
        while !told.load(Ordering::Relaxed) {
            hostile(address, &told);
        }
    });
    fixture.wait_until("it is under way", |_| progress.bytes() > before);
    let begun = progress.bytes();
    let mut beside = waits(address);
    let taken = progress.bytes() - begun;
    drop(stop);
    attack.join().expect("the hostile peer's thread ends");
    let p99 = size::quantile(&mut beside, 99);
    let got = format!("{what}: {} answers, p99 {p99:?}, {taken} hostile bytes", beside.len());
    eprintln!("{got}");
    assert!(beside.len() >= ANSWERS || taken / beside.len() as u64 <= BYTES, "{got}");
    if size::is_full() {
        assert!(p99 < Duration::from_millis(20), "{got}");
    }
}

fn before(address: SocketAddr, protocol: Protocol) -> Fixture {
    Fixture::configured(Upstream::builder().clear(), |config| {
        lead_to(config, address, protocol);
    })
}

fn beside_http1_upstream(what: &str, first: &'static [u8], piece: &'static [u8]) {
    let (upstream, progress) = hostile::http1_upstream(first, piece);
    let fixture = before(upstream, Protocol::Http1);
    assert_fair(what, &fixture, &progress, |address, stop| {
        hostile::reader(address, "/v1/endless", stop);
    });
}

fn beside_http2_upstream(what: &str, frames: Frames) {
    let (upstream, progress) = hostile::http2_upstream(frames);
    let fixture = before(upstream, Protocol::Http2);
    assert_fair(what, &fixture, &progress, |address, stop| {
        hostile::reader(address, "/v1/endless", stop);
    });
}

fn beside_http1_client(what: &str, first: &'static [u8], piece: &'static [u8]) {
    let fixture = before(hostile::silent_upstream(), Protocol::Http1);
    let progress = Progress::default();
    let seen = progress.clone();
    assert_fair(what, &fixture, &progress, move |address, stop| {
        hostile::http1_client(address, (first, piece), stop, &seen);
    });
}

fn beside_http2_client(what: &str, path: &'static str, frames: Frames) {
    let fixture = before(hostile::silent_upstream(), Protocol::Http1);
    let progress = Progress::default();
    let seen = progress.clone();
    assert_fair(what, &fixture, &progress, move |address, stop| {
        hostile::http2_client(address, (path, frames), stop, &seen);
    });
}

fn ok(stream: u32) -> Vec<u8> {
    frame(1, 4, stream, &[0x88])
}

fn nothing(_stream: u32) -> Vec<u8> {
    Vec::new()
}

fn one_byte(stream: u32) -> Vec<u8> {
    frame(0, 0, stream, b"a")
}

fn ping(_stream: u32) -> Vec<u8> {
    frame(6, 0, 0, &[7; 8])
}

#[test]
fn an_http1_upstream_of_one_byte_chunks() {
    beside_http1_upstream("chunks", CHUNKED, b"1\r\na\r\n");
}

#[test]
fn an_http1_upstream_of_chunks_with_small_extensions() {
    beside_http1_upstream("extensions", CHUNKED, b"1;e\r\na\r\n");
}

#[test]
fn an_http1_upstream_of_sizes_that_never_end() {
    beside_http1_upstream("sizes", CHUNKED, b"00000000");
}

#[test]
fn an_http1_upstream_of_trailers_without_an_end() {
    beside_http1_upstream(
        "trailers",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n",
        b"t: 1\r\n",
    );
}

#[test]
fn an_http1_upstream_of_interim_responses() {
    beside_http1_upstream("interim responses", b"", b"HTTP/1.1 103 \r\n\r\n");
}

#[test]
fn an_http2_upstream_of_one_byte_frames() {
    beside_http2_upstream("data", Frames { first: ok, piece: one_byte, is_data: true });
}

#[test]
fn an_http2_upstream_of_empty_frames() {
    let piece = |stream| frame(0, 0, stream, b"");
    beside_http2_upstream("empty data", Frames { first: ok, piece, is_data: false });
}

#[test]
fn an_http2_upstream_of_interim_responses() {
    let piece = |stream| frame(1, 4, stream, &[0x08, 3, b'1', b'0', b'3']);
    beside_http2_upstream("interim responses", Frames { first: nothing, piece, is_data: false });
}

#[test]
fn an_http2_upstream_of_control_frames() {
    for (what, piece) in [
        ("pings", ping as fn(u32) -> Vec<u8>),
        ("settings", |_| frame(4, 0, 0, b"")),
        ("window updates", |_| frame(8, 0, 0, &[0, 0, 0, 1])),
        ("priorities", |stream| frame(2, 0, stream, &[0, 0, 0, 0, 1])),
        ("unknown frames", |_| frame(0xfa, 0, 0, b"")),
    ] {
        beside_http2_upstream(what, Frames { first: nothing, piece, is_data: false });
    }
}

#[test]
fn an_http1_client_of_one_byte_chunks() {
    let first = b"POST /v1/upload HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n";
    beside_http1_client("an upload", first, b"1\r\na\r\n");
}

#[test]
fn an_http1_client_of_one_byte_chunks_that_nobody_takes() {
    let first = b"POST /nowhere HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n";
    beside_http1_client("a refused upload", first, b"1\r\na\r\n");
}

#[test]
fn an_http1_client_of_empty_lines() {
    beside_http1_client("empty lines", b"", b"\r\n");
}

#[test]
fn an_http1_client_of_pipelined_requests() {
    beside_http1_client("pipelined requests", b"", b"GET /nowhere HTTP/1.1\r\nhost: a\r\n\r\n");
}

#[test]
fn an_http2_client_of_one_byte_frames() {
    let frames = Frames { first: nothing, piece: one_byte, is_data: true };
    beside_http2_client("an upload", "/v1/upload", frames);
}

#[test]
fn an_http2_client_of_pings() {
    beside_http2_client(
        "pings",
        "/v1/upload",
        Frames { first: nothing, piece: ping, is_data: false },
    );
}
