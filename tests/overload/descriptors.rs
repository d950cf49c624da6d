//! Descriptors run out: nobody who is in suffers, nothing spins, and it is over when they are back.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use loadtest::upstream::{Script, Seen, Upstream};
use rustix::process::{Resource, Rlimit, getrlimit, prlimit, setrlimit};

use crate::support::fixture::{PATIENCE, scratch};
use crate::support::message::{Answer, Ask};
use crate::support::peers::http1_client::Http1;
use crate::support::program::Program;

/// Those who dial and never ask.
const DIALERS: usize = 1000;

/// Clients that are in before the dialers come.
const REGULARS: usize = 20;

/// CPU time in a second above which something spins. What is allowed beside it is a debug build that
/// turns a thousand dialers away, on a machine that does other things.
const SPIN: f64 = 0.3;

/// A stream that goes on for as long as the test, and short answers.
fn upstream() -> Upstream {
    let script = |seen: &Seen| match seen.path_only() {
        "/v1/stream" => Script::new().stream().tokens(100_000, Duration::from_millis(20)).done(),
        _ => Script::new().answer(200, &[], "ok"),
    };
    Upstream::builder().clear().http1().respond(script).start().expect("it starts")
}

fn file_for(upstream: &Upstream) -> PathBuf {
    let file = scratch().join("firstbyte.yaml");
    let text = format!(
        "listen: 127.0.0.1:0\nadmin: 127.0.0.1:0\nworkers: 1\naccess_log: off\n\
         upstreams: {{ mock: {{ url: {} }} }}\nroutes: [{{ path: /v1, upstream: mock }}]\n\
         client: {{ head: 10m }}\n",
        upstream.base_url()
    );
    fs::write(&file, text).expect("the file can be written");
    file
}

/// Room for both ends of this test's own connections.
fn make_room() {
    let limit = getrlimit(Resource::Nofile);
    // Where even that is not allowed, dialing says so.
    let _raised = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
}

/// A stream under way, of which so many frames are read each time.
struct Running(Http1, Answer);

impl Running {
    fn begin(proxy: &Program) -> Self {
        let mut client = Http1::new(proxy.connect());
        let ask = Ask::get("/v1/stream");
        client.send(&ask);
        let head = client.head(&ask);
        assert_eq!(head.status, 200);
        Self(client, head)
    }

    fn read(&mut self, frames: usize) {
        for _ in 0..frames {
            assert!(self.0.piece(&mut self.1).is_some(), "the stream ended");
        }
    }
}

/// CPU seconds that the proxy uses in a second, while its stream is read.
fn cpu_share(proxy: &Program, stream: &mut Running) -> f64 {
    let (began, before) = (Instant::now(), proxy.cpu_time());
    stream.read(100); // about two seconds
    proxy.cpu_time().saturating_sub(before).as_secs_f64() / began.elapsed().as_secs_f64()
}

/// The status of one request on a connection of its own; `None` if it was closed on.
fn ask_anew(proxy: &Program) -> Option<u16> {
    let mut client = TcpStream::connect(proxy.address).ok()?;
    client.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
    client
        .write_all(b"GET /v1/models HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
        .ok()?;
    let mut answer = String::new();
    client.read_to_string(&mut answer).ok()?;
    answer.split(' ').nth(1)?.parse().ok()
}

#[test]
fn a_thousand_who_dial_into_256_descriptors_leave_some_for_those_who_are_in() {
    make_room();
    let upstream = upstream();
    let proxy = Program::start_with_descriptors(256, &file_for(&upstream));
    let mut stream = Running::begin(&proxy);
    let mut regulars: Vec<_> = (0..REGULARS).map(|_| Http1::new(proxy.connect())).collect();
    for regular in &mut regulars {
        assert_eq!(regular.ask(&Ask::get("/v1/models")).status, 200);
    }
    let dialers: Vec<_> = (0..DIALERS).map(|_| proxy.connect()).collect();
    proxy.wait_until("all are in or turned away", |proxy| {
        let most = proxy.count("firstbyte_client_connections_max");
        let turned_away = proxy.count(r#"firstbyte_shed_total{reason="unanswered"}"#);
        let made_room = proxy.count(r#"firstbyte_client_hangups_total{reason="room"}"#);
        let sum = proxy.count("firstbyte_client_connections") + turned_away + made_room;
        most > 0 && sum >= (1 + REGULARS + DIALERS) as u64
    });
    let share = cpu_share(&proxy, &mut stream);
    eprintln!("CPU with {DIALERS} dialers: {:.1} % of a core", share * 100.0);
    assert!(share < SPIN, "it spins: {share} of a core");
    assert_eq!(ask_anew(&proxy), Some(200), "who asks gets the place of one who never did");
    // All at once: each needs a connection upstream of its own.
    for regular in &mut regulars {
        regular.send(&Ask::get("/v1/models"));
    }
    for regular in &mut regulars {
        assert_eq!(regular.answer(&Ask::get("/v1/models")).status, 200);
    }
    drop(dialers);
    let freed = Instant::now();
    proxy.wait_until("there is room again", |proxy| ask_anew(proxy) == Some(200));
    eprintln!("room again after {:?}", freed.elapsed());
    stream.read(10);
}

/// The limit sinks under what is open while the proxy runs, as it does for a process whose other files
/// grew: what it set aside at its start does not help.
#[test]
fn an_accept_that_fails_waits_and_does_not_spin() {
    make_room();
    let upstream = upstream();
    let proxy = Program::start(&file_for(&upstream));
    let mut stream = Running::begin(&proxy);
    let before = getrlimit(Resource::Nofile);
    let low = Rlimit { current: Some(8), maximum: before.maximum };
    let was = prlimit(Some(proxy.pid()), Resource::Nofile, low).expect("a child of ours");
    // The kernel takes them all in; nobody accepts them.
    let mut waiting: Vec<_> = (0..50).map(|_| Http1::new(proxy.connect())).collect();
    let ask = Ask::get("/v1/models");
    for client in &mut waiting {
        client.send(&ask);
    }
    let share = cpu_share(&proxy, &mut stream);
    eprintln!("CPU while accepting fails: {:.1} % of a core", share * 100.0);
    assert!(share < SPIN, "it spins: {share} of a core");
    assert!(!waiting[0].has_more(), "there was a descriptor for it");
    let freed = Instant::now();
    prlimit(Some(proxy.pid()), Resource::Nofile, was).expect("a child of ours");
    for client in &mut waiting {
        assert_eq!(client.answer(&ask).status, 200);
    }
    eprintln!("all 50 answered {:?} after descriptors were back", freed.elapsed());
    assert!(proxy.count("firstbyte_accept_pauses_total") > 0);
    stream.read(10);
}
