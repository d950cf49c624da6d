//! A process takes over from another one: nobody who connects meanwhile is refused, no stream is cut, and one
//! that cannot take over changes nothing.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use loadtest::upstream::{Script, Seen, Upstream};
use rustix::process::Signal;

use crate::support::fixture::{PATIENCE, scratch, sum_of};
use crate::support::generations::{Generations, ask_anew, binary, exists};
use crate::support::program::Guarded;

/// A stream that lasts until its request ends, or a short answer.
fn upstream() -> Upstream {
    let respond = |seen: &Seen| match seen.path_only() {
        "/v1/long" => Script::new().early().stream().tokens(1, Duration::ZERO).await_body().done(),
        _ => Script::new().answer(200, &[], "{}"),
    };
    Upstream::builder().clear().http2().respond_early(respond).start().expect("it starts")
}

fn file(upstream: &Upstream, workers: usize) -> String {
    format!(
        "listen: 127.0.0.1:0\nadmin: 127.0.0.1:0\nworkers: {workers}\naccess_log: off\n\
         upstreams:\n  a: {{ url: '{}/v1', protocol: http2 }}\n\
         routes: [{{ path: /v1, upstream: a }}]\nclient: {{ drain: 1h }}\n",
        upstream.url()
    )
}

/// Clients that connect anew for each request.
struct Churn {
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicU64>,
    clients: Vec<JoinHandle<()>>,
}

impl Churn {
    fn at(address: SocketAddr) -> Self {
        let (stop, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let client = |_| {
            let (stop, answered) = (Arc::clone(&stop), Arc::clone(&answered));
            thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    let answer = ask_anew(address).expect("neither refused nor reset");
                    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer:?}");
                    assert!(answer.ends_with("\r\n\r\n{}"), "{answer:?}");
                    answered.fetch_add(1, Ordering::Relaxed);
                }
            })
        };
        let clients = (0..6).map(client).collect();
        Self { stop, answered, clients }
    }

    /// Waits until so many more were answered, by whom ever.
    fn more(&self, generations: &Generations, more: u64) {
        let wanted = self.answered.load(Ordering::Relaxed) + more;
        let enough = |_: &Generations| {
            self.answered.load(Ordering::Relaxed) >= wanted
                || self.clients.iter().any(JoinHandle::is_finished)
        };
        generations.wait_until("more was answered", enough);
    }

    fn end(self) {
        self.stop.store(true, Ordering::Relaxed);
        self.clients.into_iter().for_each(|client| client.join().expect("all were answered"));
    }
}

fn read_to(stream: &mut TcpStream, end: &str) {
    let (mut text, mut byte) = (Vec::new(), [0]);
    while !text.ends_with(end.as_bytes()) {
        stream.read_exact(&mut byte).expect("the stream goes on");
        text.push(byte[0]);
    }
}

/// A stream that lasts until [`end`].
fn begin(address: SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(address).expect("it listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
    let head = "POST /v1/long HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n";
    write!(stream, "{head}2\r\n{{}}\r\n").expect("the proxy reads");
    read_to(&mut stream, "\"content\":\" token\"");
    stream
}

fn end(mut stream: TcpStream) {
    stream.write_all(b"0\r\n\r\n").expect("the proxy reads");
    read_to(&mut stream, "data: [DONE]\n\n\r\n0\r\n\r\n");
}

/// Workers of each process, one after the other: as many, fewer, more.
const WORKERS: [usize; 5] = [2, 2, 1, 3, 2];

#[test]
fn upgrades_under_churn_refuse_nobody_and_cut_no_stream_whatever_the_number_of_workers() {
    let upstream = upstream();
    let mut all = Generations::start(&file(&upstream, WORKERS[0]));
    let churn = Churn::at(all.address);
    let mut lasting = vec![begin(all.address)];
    for workers in &WORKERS[1..] {
        churn.more(&all, 50);
        all.write_config(&file(&upstream, *workers));
        all.upgrade();
        churn.more(&all, 50);
        lasting.push(begin(all.address));
        let page = all.page("/metrics");
        assert!(page.contains(&format!("\nfirstbyte_workers {workers}\n")), "the new one's");
        let cold = sum_of(&page, r#"firstbyte_cold_requests_total{upstream="a"}"#);
        assert!(cold.abs() < f64::EPSILON, "{page}");
    }
    churn.end();
    assert!(exists(all.successors()[0]), "it has a stream to finish");
    // A service manager tells all of them: who drains already goes on.
    all.signal(Signal::TERM);
    all.first_signal(Signal::TERM);
    all.wait_said("already draining");
    lasting.into_iter().for_each(end);
    assert_eq!(all.first_ended().code(), Some(0));
    all.wait_until("all have ended", |all| all.said().matches("cut=0").count() == WORKERS.len());
}

#[test]
fn a_successor_that_cannot_start_changes_nothing_and_it_is_said_why() {
    let upstream = upstream();
    let good = file(&upstream, 1);
    let all = Generations::start(&good);
    let stream = begin(all.address);
    all.write_config(&good.replace("routes:", "rotues:"));
    all.signal(Signal::USR2);
    all.wait_said(
        "handover failed, this process continues: the new process exited before it was ready",
    );
    let said = all.said();
    assert!(said.contains("firstbyte.yaml") && said.contains("is not a known key"), "{said}");
    assert!(ask_anew(all.address).expect("it serves").starts_with("HTTP/1.1 200 "));
    assert!(all.page("/readyz").starts_with("HTTP/1.1 200 "));
    end(stream);
    all.write_config(&good);
    all.upgrade();
}

#[test]
fn a_successor_that_is_not_ready_in_time_is_killed_and_took_nothing() {
    let upstream = upstream();
    let dead = Upstream::builder().clear().http2().silent_handshake().start().expect("it starts");
    let good = format!("upgrade_timeout: 1s\n{}", file(&upstream, 1));
    let all = Generations::start(&good);
    let churn = Churn::at(all.address);
    all.write_config(&good.replace(&upstream.url(), &dead.url()));
    all.signal(Signal::USR2);
    all.wait_said(
        "handover failed, this process continues: the new process was not ready within \
        upgrade_timeout",
    );
    churn.more(&all, 20);
    churn.end();
    assert!(all.page("/readyz").starts_with("HTTP/1.1 200 "));
}

/// A wait with a timeout is interrupted by that, as by any signal that is handled.
#[test]
fn a_process_that_is_stopped_and_continued_still_waits_for_its_successor() {
    let upstream = upstream();
    let dead = Upstream::builder().clear().http2().silent_handshake().start().expect("it starts");
    let good = format!("upgrade_timeout: 3s\n{}", file(&upstream, 1));
    let all = Generations::start(&good);
    all.write_config(&good.replace(&upstream.url(), &dead.url()));
    all.signal(Signal::USR2);
    all.wait_until("it waits", |all| all.said().matches("admin on http://").count() == 2);
    let stat = format!("/proc/{}/stat", all.latest());
    for _ in 0..10 {
        all.first_signal(Signal::STOP);
        all.wait_until("it is stopped", |_| {
            fs::read_to_string(&stat).is_ok_and(|stat| stat.contains(") T "))
        });
        all.first_signal(Signal::CONT);
    }
    all.wait_said("handover failed, this process continues: ");
    assert!(
        all.said().contains("the new process was not ready within upgrade_timeout"),
        "{}",
        all.said()
    );
}

#[test]
fn a_process_that_is_to_end_takes_the_successor_on_its_way_along() {
    let upstream = upstream();
    let dead = Upstream::builder().clear().http2().silent_handshake().start().expect("it starts");
    let good = file(&upstream, 1);
    let mut all = Generations::start(&good);
    all.write_config(&good.replace(&upstream.url(), &dead.url()));
    all.signal(Signal::USR2);
    // The second process says so too: then it has everything.
    all.wait_until("it waits", |all| all.said().matches("admin on http://").count() == 2);
    all.signal(Signal::TERM);
    assert_eq!(all.first_ended().code(), Some(0));
    let address = all.address;
    all.wait_until("nobody listens", |_| TcpStream::connect(address).is_err());
}

#[test]
fn a_connection_that_was_accepted_before_a_drain_and_asks_after_it_is_answered() {
    let upstream = upstream();
    let mut all = Generations::start(&file(&upstream, 1));
    let stream = begin(all.address);
    let mut quiet = TcpStream::connect(all.address).expect("it listens");
    quiet.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
    let accepted = "\nfirstbyte_client_connections 2\n";
    all.wait_until("it is accepted", |all| all.page("/metrics").contains(accepted));
    all.signal(Signal::TERM);
    all.wait_until("it drains", |all| all.page("/readyz").starts_with("HTTP/1.1 503"));
    quiet.write_all(b"GET /v1/models HTTP/1.1\r\nhost: localhost\r\n\r\n").expect("it is open");
    let mut answer = String::new();
    quiet.read_to_string(&mut answer).expect("a clean end");
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("{}"), "{answer:?}");
    assert!(answer.contains("\r\nconnection: close\r\n"), "{answer:?}");
    end(stream);
    assert_eq!(all.first_ended().code(), Some(0));
}

/// Starts the program as systemd does: the sockets are descriptors from 3 on, and it is told its own id.
fn socket_activated(text: &str, sockets: &[&TcpListener]) -> (Command, std::path::PathBuf) {
    let folder = scratch();
    fs::write(folder.join("firstbyte.yaml"), text).expect("a file");
    let mut command = Command::new("sh");
    // A shell passes its own descriptors on: the sockets are its standard input and output.
    let moved = match sockets.len() {
        1 => "exec 3<&0 </dev/null; LISTEN_FDS=1",
        _ => "exec 3<&0 4<&1 </dev/null >/dev/null; LISTEN_FDS=2",
    };
    let script = format!("{moved} LISTEN_PID=$$ exec \"$0\" -c \"$1\"");
    command.arg("-c").arg(script).arg(binary()).arg(folder.join("firstbyte.yaml"));
    let passed = |nth: usize| {
        let socket: Option<&&TcpListener> = sockets.get(nth);
        socket.map_or(Stdio::null(), |socket| {
            Stdio::from(OwnedFd::from(socket.try_clone().expect("a descriptor")))
        })
    };
    command.stdin(passed(0)).stdout(passed(1));
    (command, folder)
}

#[test]
fn a_socket_of_systemds_is_served_by_all_workers_with_what_waited_in_it() {
    let upstream = upstream();
    let socket = TcpListener::bind("127.0.0.1:0").expect("a socket");
    let address = socket.local_addr().expect("an address");
    let mut early = TcpStream::connect(address).expect("the socket listens, though nobody accepts");
    early
        .write_all(b"GET /v1/models HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
        .expect("sent");
    let text = file(&upstream, 2).replace("listen: 127.0.0.1:0", &format!("listen: {address}"));
    let (command, folder) = socket_activated(&text, &[&socket]);
    drop(socket);
    let all = Generations::of(command, folder);
    assert_eq!(all.address, address);
    let mut answer = String::new();
    early.read_to_string(&mut answer).expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer:?}");
    let churn = Churn::at(address);
    churn.more(&all, 50);
    all.upgrade();
    churn.more(&all, 50);
    churn.end();
}

#[test]
fn sockets_of_systemds_and_the_file_must_say_the_same() {
    let upstream = upstream();
    let bind = || TcpListener::bind("127.0.0.1:0").expect("a socket");
    let (one, other) = (bind(), bind());
    let address = |socket: &TcpListener| socket.local_addr().expect("an address").to_string();
    let text = |listen: &str| {
        file(&upstream, 1).replace("listen: 127.0.0.1:0", &format!("listen: {listen}"))
    };
    let said = |text: &str, sockets: &[&TcpListener]| {
        let (mut command, _) = socket_activated(text, sockets);
        if sockets.len() < 2 {
            command.stdout(Stdio::null());
        }
        let mut child = Guarded(command.stderr(Stdio::piped()).spawn().expect("it starts"));
        let begun = Instant::now();
        let status = loop {
            if let Some(status) = child.0.try_wait().expect("a child of ours") {
                break status;
            }
            assert!(begun.elapsed() < PATIENCE, "it serves all the same");
            thread::park_timeout(Duration::from_millis(5));
        };
        assert_eq!(status.code(), Some(1));
        let mut said = String::new();
        let stderr = child.0.stderr.as_mut().expect("it is piped");
        stderr.read_to_string(&mut said).expect("UTF-8");
        said
    };
    let missing = said(&text("127.0.0.2:1"), &[&one]);
    assert!(missing.contains("no socket for 127.0.0.2:1"), "{missing}");
    let extra = said(&text(&address(&one)), &[&one, &other]);
    assert!(extra.contains(&format!("a socket for {}, which", address(&other))), "{extra}");
}
