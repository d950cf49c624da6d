//! Many subscribers of one name: what one costs, and how long an event takes to all of them.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use rustix::process::{Resource, getrlimit};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

use super::{file, upstream};
use crate::support::fixture::{PATIENCE, scratch};
use crate::support::program::Program;
use crate::support::size::{self, quantile, raise_descriptor_limit};

/// What one subscriber may cost, in bytes of resident memory: its socket's task and buffers, its answer, its seat. A
/// debug build weighs more than a release build.
const EACH: u64 = 64 * 1024;

/// Events that are timed.
const EVENTS: usize = 20;

#[test]
fn an_event_reaches_every_subscriber_of_a_crowd() {
    raise_descriptor_limit();
    // The proxy keeps a descriptor for what each client's request may need, and some besides.
    let most = getrlimit(Resource::Nofile).maximum.map_or(usize::MAX, |most| most as usize / 2);
    let count = size::size(400, 10_000).min(most.saturating_sub(500));
    let upstream = upstream();
    let directory = scratch();
    let config = directory.join("firstbyte.yaml");
    let limits = "limits: { memory: 1024MiB, streams: 20000, connections: 20000 }";
    std::fs::write(&config, file(&upstream, 2, "{}", limits)).expect("the file can be written");
    let program = Program::start(&config);
    program.wait_until("it is ready", |program| program.status("/readyz") == 200);
    size::block_on(async {
        let before = program.resident();
        let (took, mut taken) = mpsc::channel(count);
        let begun = Instant::now();
        for _ in 0..count {
            let reader = subscribe(program.address).await;
            tokio::spawn(read(reader, begun, took.clone()));
        }
        let each = program.resident().saturating_sub(before) / count as u64;
        let mut all = Vec::with_capacity(EVENTS * count);
        let mut last = Vec::with_capacity(EVENTS);
        for _ in 0..EVENTS {
            publish(program.address, begun).await;
            let mut slowest = Duration::ZERO;
            for _ in 0..count {
                let reached = tokio::time::timeout(PATIENCE * 3, taken.recv()).await;
                let one = reached.expect("it reaches all").expect("nobody was dropped");
                slowest = slowest.max(one);
                all.push(one);
            }
            last.push(slowest);
        }
        let (half, most) = (quantile(&mut all, 50), quantile(&mut all, 99));
        println!(
            "{count} subscribers: {each} bytes each; an event reaches half of them in {half:?}, 99 % in {most:?}; \
             the last one in {:?} (median of {EVENTS} events)",
            quantile(&mut last, 50)
        );
        assert!(each <= EACH, "{each} bytes each");
        assert_eq!(program.count("firstbyte_event_subscribers"), count as u64);
        assert_eq!(program.count("firstbyte_event_subscribers_dropped_total"), 0);
        assert_eq!(program.count("firstbyte_events_delivered_total"), (EVENTS * count) as u64);
    });
}

async fn subscribe(address: SocketAddr) -> BufReader<TcpStream> {
    let mut stream = TcpStream::connect(address).await.expect("the proxy listens");
    stream.write_all(b"GET /events/news HTTP/1.1\r\nhost: a\r\n\r\n").await.expect("is sent");
    let mut reader = BufReader::with_capacity(512, stream);
    let mut line = String::new();
    while line != "\r\n" {
        line.clear();
        assert!(reader.read_line(&mut line).await.expect("a head") > 0, "the head ended");
        assert!(!line.starts_with("HTTP/1.1 ") || line.contains(" 200 "), "{line}");
    }
    reader
}

/// Tells for each event how long it took from its publisher.
async fn read(mut reader: BufReader<TcpStream>, begun: Instant, took: mpsc::Sender<Duration>) {
    let mut line = String::new();
    while reader.read_line(&mut line).await.is_ok_and(|read| read > 0) {
        if let Some(sent) = line.strip_prefix("data: ") {
            let sent = sent.trim_end().parse().expect("nanoseconds");
            let elapsed = begun.elapsed().saturating_sub(Duration::from_nanos(sent));
            if took.send(elapsed).await.is_err() {
                return;
            }
        }
        line.clear();
    }
}

async fn publish(address: SocketAddr, begun: Instant) {
    let mut stream = TcpStream::connect(address).await.expect("the proxy listens");
    let body = format!("data: {}\n\n", begun.elapsed().as_nanos());
    let head = "POST /events/news HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-type: text/event-stream";
    let request = format!("{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    stream.write_all(request.as_bytes()).await.expect("is sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
}
