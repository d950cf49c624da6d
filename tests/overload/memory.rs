//! Memory has a ceiling: what would go beyond it is refused, and what was taken in finishes.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use bytes::Bytes;
use loadtest::upstream::{Script, Upstream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::fixture::{PATIENCE, scratch};
use crate::support::program::Program;

const MIB: u64 = 1024 * 1024;

/// Over what a debug build takes at rest, there is room for some dozens of [`BODY`].
const CEILING: u64 = 128 * MIB;

/// Kept whole for a replay until the answer comes.
const BODY: usize = 900 * 1024;

/// Ten times what there is room for.
const CLIENTS: usize = 900;

/// How an exchange ended.
#[derive(Debug, Default, PartialEq, Eq)]
struct Ends {
    finished: usize,
    told: usize,
    closed: usize,
    /// Anything else: an answer that was cut, say.
    other: Vec<String>,
}

fn file_for(upstream: &Upstream, memory: u64) -> PathBuf {
    let file = scratch().join("firstbyte.yaml");
    let text = format!(
        "listen: 127.0.0.1:0\nadmin: 127.0.0.1:0\nworkers: 1\naccess_log: off\n\
         upstreams:\n  mock:\n    url: {}\n    protocol: http2\n    \
         pool: {{ queue: 2000, queue_timeout: 1m, ping_timeout: 10m }}\n\
         routes: [{{ path: /v1, upstream: mock }}]\nlimits: {{ memory: {memory} }}\n",
        upstream.base_url()
    );
    fs::write(&file, text).expect("the file can be written");
    file
}

/// One request on a connection of its own. All that came, and whether the connection ended well.
async fn ask(proxy: std::net::SocketAddr, body: Bytes) -> (String, bool) {
    let Ok(mut socket) = TcpStream::connect(proxy).await else { return (String::new(), false) };
    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\
         content-length: {}\r\n\r\n",
        body.len()
    );
    let (mut from, mut to) = socket.split();
    let mut answer = Vec::new();
    let sending = async {
        // Who is refused may find nobody to read all of it.
        let _head = to.write_all(head.as_bytes()).await;
        let _body = to.write_all(&body).await;
    };
    let ((), read) = tokio::join!(sending, from.read_to_end(&mut answer));
    (String::from_utf8_lossy(&answer).into_owned(), read.is_ok())
}

impl Ends {
    fn count(&mut self, (answer, well): (String, bool)) {
        if answer.is_empty() {
            self.closed += 1;
        } else if answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("whole") && well {
            self.finished += 1;
        } else if answer.starts_with("HTTP/1.1 503 ")
            && answer.contains("retry-after: 1\r\n")
            && answer.contains(r#""code":"memory_short""#)
        {
            self.told += 1;
        } else {
            self.other.push(answer);
        }
    }
}

async fn rush(proxy: &Program) -> Ends {
    let body = Bytes::from(vec![b'x'; BODY]);
    let mut clients = Vec::new();
    for nth in 0..CLIENTS {
        clients.push(tokio::spawn(ask(proxy.address, body.clone())));
        if nth % 20 == 19 {
            // A rush, and not one instant: whoever comes later finds memory short.
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    let mut ends = Ends::default();
    for client in clients {
        let end = tokio::time::timeout(PATIENCE * 3, client).await.expect("it does not hang");
        ends.count(end.expect("a client"));
    }
    ends
}

/// What the promise is about in full (a control group that kills, five minutes) is more than a test's.
#[test]
fn ten_times_what_memory_is_there_for_is_shed_and_what_was_taken_in_finishes() {
    // Longer than the rush takes on a machine that does other things, or there is no overload.
    let script = Script::new().wait(Duration::from_secs(10)).answer(200, &[], "whole");
    let upstream = Upstream::builder().clear().http2().log(false).script(script);
    let upstream = upstream.start().expect("it starts");
    let proxy = Program::start(&file_for(&upstream, CEILING));
    let at_rest = proxy.resident();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime");
    let ends = runtime.block_on(rush(&proxy));
    let peak = proxy.peak();
    eprintln!("{ends:?}; at rest {} MiB, peak {} MiB", at_rest / MIB, peak / MIB);
    assert_eq!(ends.other, Vec::<String>::new());
    assert!(ends.finished > 16 && ends.told > 0, "{ends:?}");
    assert!(peak <= CEILING, "{} MiB", peak / MIB);
    assert!(proxy.count(r#"firstbyte_shed_total{reason="memory"}"#) >= ends.told as u64);
    let again = Instant::now();
    proxy.wait_until("it takes requests again", |proxy| proxy.count("firstbyte_memory_level") == 0);
    eprintln!("calm again after {:?}", again.elapsed());
    let mut after = Ends::default();
    after.count(runtime.block_on(ask(proxy.address, Bytes::from_static(b"{}"))));
    assert_eq!(after.finished, 1, "{after:?}");
}
