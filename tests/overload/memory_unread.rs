//! Clients that take nothing, and upstreams that take nothing: they do not use up the memory of others.
//!
//! Each attack is met twice: under `limits.memory`, and in a control group whose kernel would kill.

use std::any::Any;
use std::cell::Cell;
use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use bytes::Bytes;
use loadtest::upstream::{Script, Seen, Step, Upstream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use crate::support::control_group::Group;
use crate::support::fixture::{PATIENCE, scratch};
use crate::support::peers::raw_http2;
use crate::support::program::Program;
use crate::support::size::{block_on, is_full, raise_descriptor_limit, size};

const MIB: u64 = 1024 * 1024;

/// What is there in all. A debug build takes a quarter of it at rest.
const CEILING: u64 = 64 * MIB;

/// Far more than is ever read, and than all windows and buffers of one stream together take.
const ANSWER: u64 = 4 * MIB;

/// How long an attack goes on once it is felt.
const GOES_ON: Duration = Duration::from_secs(1);

/// An attack is felt once so many of its requests were refused or ended.
const FELT: u64 = 50;

/// Who was taken in early takes what it may take later, and all at once: no look at memory shows it before.
const LATER: Duration = Duration::from_millis(1_500);

/// What keeps an attack up: dropped, it ends.
type Attack = Vec<Box<dyn Any>>;

/// What an HTTP/2 client has of an upload.
type Upload = (h2::client::ResponseFuture, h2::SendStream<Bytes>);

fn upstream() -> Upstream {
    let upstream =
        Upstream::builder().clear().http2().log(false).hash(false).respond_early(|seen: &Seen| {
            match seen.path_only() {
                "/v1/unread" => {
                    Script::new().early().stream().wait(LATER).step(Step::Filler(ANSWER)).stall()
                }
                "/v1/untaken" => {
                    Script::new().unread_body().wait(PATIENCE * 9).answer(200, &[], "")
                }
                _ => Script::new().await_body().answer(200, &[], "whole"),
            }
        });
    upstream.start().expect("the mock upstream starts")
}

fn file_for(upstream: &Upstream, memory: &str) -> PathBuf {
    let file = scratch().join("firstbyte.yaml");
    let text = format!(
        "listen: 127.0.0.1:0\nadmin: 127.0.0.1:0\nworkers: 1\naccess_log: off\nallowed_hosts: '*'\n\
         upstreams:\n  mock:\n    url: {}\n    protocol: http2\n    \
         pool: {{ min_connections: 16, queue: 5000, queue_timeout: 1m, ping_timeout: 10m }}\n\
         routes: [{{ path: /v1, upstream: mock }}]\nlimits: {{ memory: {memory} }}\n",
        upstream.base_url()
    );
    fs::write(&file, text).expect("the file can be written");
    file
}

/// Answers of good clients.
#[derive(Debug, Default)]
struct Ends {
    whole: usize,
    told: usize,
    /// Nothing of both.
    other: Vec<String>,
}

async fn ask(proxy: SocketAddr) -> String {
    let mut answer = Vec::new();
    let asked = async {
        let mut socket = TcpStream::connect(proxy).await?;
        let request = b"GET /v1/models HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
        socket.write_all(request).await?;
        socket.read_to_end(&mut answer).await
    };
    match tokio::time::timeout(PATIENCE, asked).await {
        Ok(Ok(_)) => String::from_utf8_lossy(&answer).into_owned(),
        failed => format!("{failed:?}"),
    }
}

impl Ends {
    fn count(&mut self, answer: String) {
        if answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("whole") {
            self.whole += 1;
        } else if answer.starts_with("HTTP/1.1 503 ") && answer.contains("\r\nretry-after: ") {
            self.told += 1;
        } else {
            self.other.push(answer);
        }
    }
}

/// Good clients ask until it is over.
async fn beside(proxy: SocketAddr, over: &Cell<bool>) -> Ends {
    let mut ends = Ends::default();
    while !over.get() {
        ends.count(ask(proxy).await);
        tokio::time::sleep(Duration::from_millis(10)).await; // they are no load
    }
    ends
}

/// Starts the attack on the program, asks beside it, and asks again when it is over.
fn met(proxy: &Program, attack: impl AsyncFn(SocketAddr) -> Attack) {
    block_on(async {
        let over = Cell::new(false);
        let attacking = async {
            let attack = attack(proxy.address).await;
            let begun = Instant::now();
            while !is_felt(proxy) && begun.elapsed() < PATIENCE {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            tokio::time::sleep(GOES_ON).await;
            over.set(true);
            attack
        };
        let (attack, ends) = tokio::join!(attacking, beside(proxy.address, &over));
        eprintln!("{} good: {} bad: {:?}", ends.whole, ends.told, ends.other.first());
        assert_eq!(proxy.status("/livez"), 200);
        assert_eq!(ends.other, Vec::<String>::new());
        assert!(ends.whole > 0, "nobody was served beside the attack: {ends:?}");
        drop(attack);
        let (mut after, begun) = (Ends::default(), Instant::now());
        while after.whole == 0 {
            assert!(begun.elapsed() < PATIENCE, "it does not serve again: {after:?}");
            after.count(ask(proxy.address).await);
        }
        assert_eq!(after.other, Vec::<String>::new());
    });
}

/// What there is was not enough, or somebody had to give way.
fn is_felt(proxy: &Program) -> bool {
    let gave_way = ["memory", "evicted"]
        .map(|why| proxy.count(&format!("firstbyte_shed_total{{reason=\"{why}\"}}")));
    proxy.peak() > CEILING || gave_way.iter().sum::<u64>() >= FELT
}

/// Where a kernel kills is tried for one attack of each kind, and for all where all is asked for.
fn holds(killed: bool, attack: impl AsyncFn(SocketAddr) -> Attack) {
    raise_descriptor_limit();
    let upstream = upstream();
    let proxy = Program::start(&file_for(&upstream, &CEILING.to_string()));
    proxy.wait_until("it is ready", |proxy| proxy.status("/readyz") == 200);
    let at_rest = proxy.resident();
    met(&proxy, &attack);
    eprintln!("at rest {} MiB, peak {} MiB", at_rest / MIB, proxy.peak() / MIB);
    assert!(proxy.peak() <= CEILING, "{} KiB resident", proxy.peak() / 1024);
    drop(proxy);
    if !killed && !is_full() {
        return;
    }
    let Some(group) = Group::new(CEILING) else { return };
    let proxy = Program::spawn(&mut group.command(&file_for(&upstream, "auto")));
    proxy.wait_until("it is ready", |proxy| proxy.status("/readyz") == 200);
    met(&proxy, &attack);
    eprintln!("in a group: peak {:?} KiB", group.peak().map(|peak| peak / 1024));
    drop(proxy);
}

#[test]
fn clients_of_http2_that_give_no_window_do_not_take_the_memory_of_others() {
    unread_over_http2(10, 0);
}

/// Their windows are wide open: what they do not read waits in buffers of the connection.
#[test]
fn clients_of_http2_that_do_not_read_their_sockets_do_not_take_the_memory_of_others() {
    unread_over_http2(10, 0x7fff_ffff);
}

fn unread_over_http2(clients: usize, window: u32) {
    holds(window == 0, async |proxy| {
        let mut attack = Attack::new();
        for _ in 0..clients {
            attack.push(Box::new(unread(proxy, 100, window).await));
        }
        attack
    });
}

#[test]
fn clients_of_http1_that_do_not_read_do_not_take_the_memory_of_others() {
    let clients = size(700, 3_000);
    holds(false, async |proxy| {
        let mut attack = Attack::new();
        for _ in 0..clients {
            let socket = narrow(proxy).await;
            let request = b"GET /v1/unread HTTP/1.1\r\nhost: a\r\n\r\n";
            attack.push(Box::new(write(socket, request, b"")));
        }
        attack
    });
}

#[test]
fn uploads_over_http2_that_nobody_takes_do_not_take_the_memory_of_others() {
    let body = Bytes::from(vec![b'x'; 256 * 1024]);
    holds(false, async |proxy| {
        let mut attack = Attack::new();
        for _ in 0..20 {
            let client = raw_http2::Client::connect(proxy).await;
            for _ in 0..50 {
                attack.push(Box::new(client.begin("/v1/untaken", b"{").await));
            }
            attack.push(Box::new(client));
        }
        tokio::time::sleep(LATER).await;
        for upload in &mut attack {
            if let Some((_, upload)) = upload.downcast_mut::<Upload>() {
                // Refused, where it was refused.
                let _sent = upload.send_data(body.clone(), false);
            }
        }
        attack
    });
}

#[test]
fn uploads_over_http1_that_nobody_takes_do_not_take_the_memory_of_others() {
    let clients = size(700, 3_000);
    let head = b"POST /v1/untaken HTTP/1.1\r\nhost: a\r\ncontent-length: 1000000\r\n\r\n{";
    let body: &'static [u8] = vec![b'x'; 900_000].leak();
    holds(true, async |proxy| {
        let mut attack = Attack::new();
        for _ in 0..clients {
            let socket = TcpStream::connect(proxy).await.expect("the proxy listens");
            attack.push(Box::new(write(socket, head, body)));
        }
        attack
    });
}

/// A client's socket with a small buffer.
async fn narrow(proxy: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(4096).expect("a buffer's size can be set");
    socket.connect(proxy).await.expect("the proxy listens")
}

/// Writes the one at once and the other later, in a task of its own for as long as what is returned lives.
/// Nothing is read.
fn write(mut socket: TcpStream, bytes: &[u8], later: &'static [u8]) -> Writing {
    let bytes = bytes.to_vec();
    Writing(tokio::spawn(async move {
        // Who is refused may find nobody to read all of it.
        let _first = socket.write_all(&bytes).await;
        tokio::time::sleep(LATER).await;
        let _all = socket.write_all(later).await;
        std::future::pending::<()>().await;
    }))
}

struct Writing(tokio::task::JoinHandle<()>);

impl Drop for Writing {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// So many requests over HTTP/2 by hand, of which nothing is read: each with this window, and the connection
/// with the largest that there is.
async fn unread(proxy: SocketAddr, streams: u32, window: u32) -> Writing {
    let frame = |kind: u8, flags: u8, stream: u32, payload: &[u8]| {
        let length = u32::try_from(payload.len()).expect("a short frame").to_be_bytes();
        [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
    };
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    // SETTINGS_INITIAL_WINDOW_SIZE, and a WINDOW_UPDATE for the connection.
    bytes.extend(frame(4, 0, 0, &[&[0, 4], &window.to_be_bytes()[..]].concat()));
    bytes.extend(frame(8, 0, 0, &(0x7fff_ffff_u32 - 65_535).to_be_bytes()));
    // `GET`, `http`, a path and an authority without indexing (RFC 7541, section 6.2.2).
    let head = [&[0x82, 0x86, 0x04, 10][..], b"/v1/unread", &[0x01, 1], b"a"].concat();
    for nth in 0..streams {
        bytes.extend(frame(1, 0x5, 2 * nth + 1, &head));
    }
    write(narrow(proxy).await, &bytes, b"")
}
