//! Streams that are open and say nothing: what they weigh, and that their memory goes back to the kernel
//! once they have left.

use std::time::{Duration, Instant};

use loadtest::upstream::{Script, Seen, Upstream};

use crate::support::fixture::PATIENCE;
use crate::support::peers::raw_http1;
use crate::support::program::{Program, file_for};
use crate::support::size::{bound, is_full, raise_descriptor_limit, size};

/// The promise's full size is ten thousand.
const STREAMS: usize = 1_000;
const STREAMS_IN_FULL: usize = 10_000;
/// 256 MiB for ten thousand.
const EACH: u64 = 256 * 1024 * 1024 / 10_000;

/// Clients of several loopback addresses: one has not enough ports in the kernel's usual range to spare.
fn open(program: &Program, count: usize) -> Vec<raw_http1::Client> {
    let clients = (0..count).map(|nth| {
        use socket2::{Domain, Socket, Type};
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        let from = std::net::SocketAddr::from(([127, 0, 1, (nth % 8) as u8 + 1], 0));
        socket.bind(&from.into()).expect("loopback has it");
        socket.connect(&program.address.into()).expect("the proxy listens");
        let mut client = raw_http1::Client::of(socket.into());
        client.ask("/v1/idle", b"{}");
        assert!(client.wait_for("data: 1"));
        client
    });
    clients.collect()
}

#[test]
fn ten_thousand_idle_streams_fit_into_256_mib_and_their_memory_comes_back() {
    raise_descriptor_limit();
    let upstream = Upstream::builder().clear().http2().log(false).respond(|seen: &Seen| {
        if seen.path == "/v1/idle" {
            Script::new().stream().body("data: 1\n\n").stall()
        } else {
            Script::new().answer(200, &[], "{}")
        }
    });
    let upstream = upstream.start().expect("the mock upstream starts");
    let file = file_for(&upstream);
    let text = std::fs::read_to_string(&file).expect("a file");
    // What the burst opened upstream is closed after half a minute by default.
    let pool = format!("max_connections: 256, idle: {}", if is_full() { "30s" } else { "1s" });
    let text = text.replace(
        "    ca_file: ca.pem\n",
        &format!("    protocol: http2\n    pool: {{ {pool} }}\n"),
    );
    std::fs::write(&file, text).expect("the file can be written");
    let program = Program::start(&file);
    program.wait_until("it is ready", |program| program.status("/readyz") == 200);
    // What is allocated once is not the streams'.
    drop(open(&program, 50));
    let before = program.resident();
    let streams = open(&program, size(STREAMS, STREAMS_IN_FULL));
    let during = program.resident();
    let each = during.saturating_sub(before) / streams.len() as u64;
    println!("{before} bytes before, {during} with {}: {each} each", streams.len());
    if is_full() {
        assert!(during <= 256 * 1024 * 1024, "{during} bytes");
    }
    assert!(each <= EACH, "{each} bytes for each");
    drop(streams);
    let begun = Instant::now();
    let gone = "firstbyte_streams_in_flight 0";
    program.wait_until("all have left", |program| program.page("/metrics").contains(gone));
    let within = bound(PATIENCE * 3, Duration::from_secs(60));
    // A page of the allocator's stays for one block of many: after ten thousand that is some megabytes.
    let small = if is_full() { before * 13 / 10 } else { before * 6 / 5 };
    while program.resident() > small {
        let now = program.resident();
        assert!(begun.elapsed() < within, "{now} bytes are left of {during}; {before} at first");
        // A scrape now and then, as a site has it: it takes what workers have recorded.
        assert_eq!(program.status("/metrics"), 200);
        std::thread::park_timeout(Duration::from_millis(500));
    }
    println!("{} bytes {:?} after they left", program.resident(), begun.elapsed());
    let streams = open(&program, size(STREAMS, STREAMS_IN_FULL));
    let again = program.resident();
    println!("{again} bytes with as many again");
    assert!(again <= during + during / 2, "{again} bytes, and {during} the first time");
    drop(streams);
}
