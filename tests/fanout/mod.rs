//! Kept streams and named events that several processes have together by Redis or Valkey.

mod events;
mod loss;
mod streams;

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use crate::sharing::server::Redis;
use crate::support::fixture::{PATIENCE, scratch};
use crate::support::installed::installed;
use crate::support::program::Program;

/// A server; `None`, said loudly, where none is installed.
fn server() -> Option<Redis> {
    Some(Redis::start(&installed("redis-server")?, &[]))
}

/// Redis and Valkey, those that are installed.
fn each_server() -> Vec<Redis> {
    let programs = ["redis-server", "valkey-server"].into_iter().filter_map(installed);
    programs.map(|program| Redis::start(&program, &[])).collect()
}

/// A process that keeps streams of an upstream at `upstream` and has events, and shares both; `more`: the rest of its
/// configuration.
fn process(server: &Redis, upstream: SocketAddr, resume: &str, more: &str) -> Program {
    let text = format!(
        "listen: 127.0.0.1:0\nadmin: 127.0.0.1:0\nworkers: 2\naccess_log: off\n\
         redis: {{ url: 'redis://{}', timeout: 1s }}\n\
         upstreams:\n  mock: {{ url: 'http://{upstream}', key: sk-ours-canary }}\n\
         routes:\n  - {{ path: /v1, upstream: mock, resume: {resume} }}\n  \
         - {{ path: /events, events: {{ heartbeat: 200ms }} }}\n{more}\n",
        server.address
    );
    let path = scratch().join("firstbyte.yaml");
    fs::write(&path, text).expect("the file can be written");
    let program = Program::start(&path);
    is_shared(&program);
    program
}

/// Waits until it shares what it has.
fn is_shared(program: &Program) {
    program.wait_until("it is shared", |one| {
        std::thread::park_timeout(Duration::from_millis(10));
        one.count("firstbyte_fanout_connected") == 1
    });
}

/// A subscriber over HTTP/1.1.
struct Subscriber {
    head: String,
    reader: BufReader<TcpStream>,
}

/// An event, or that there are none any more.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Event {
    id: String,
    data: String,
}

impl Subscriber {
    fn new(program: &Program, name: &str, lines: &str) -> Self {
        let mut stream = program.connect();
        write!(stream, "GET /events/{name} HTTP/1.1\r\nhost: localhost\r\n{lines}\r\n")
            .expect("it is sent");
        let (mut reader, mut head) = (BufReader::new(stream), String::new());
        while !head.ends_with("\r\n\r\n") {
            assert!(reader.read_line(&mut head).expect("a head") > 0, "{head}");
        }
        Self { head: head.to_ascii_lowercase(), reader }
    }

    fn header(&self, name: &str) -> &str {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(known, _)| *known == name).map_or("", |(_, value)| value)
    }

    /// The next one. Sizes of chunks and comments are passed over: no line of an event looks like them.
    fn next(&mut self) -> Event {
        let mut event = Event { id: String::new(), data: String::new() };
        loop {
            let mut line = String::new();
            let read = self.reader.read_line(&mut line).expect("it comes in time");
            assert!(read > 0, "the subscription ended");
            match line.trim_end().split_once(": ") {
                Some(("id", id)) => id.clone_into(&mut event.id),
                Some(("data", data)) => {
                    data.clone_into(&mut event.data);
                    return event;
                }
                _ => {}
            }
        }
    }

    fn take(&mut self, count: usize) -> Vec<Event> {
        (0..count).map(|_| self.next()).collect()
    }
}

/// Publishes this data; the status and the answer's text.
fn publish(program: &Program, name: &str, id: Option<&str>, data: &str) -> (u16, String) {
    let id = id.map(|id| format!("id: {id}\n")).unwrap_or_default();
    let body = format!("{id}data: {data}\n\n");
    let lines = format!("content-type: text/event-stream\r\ncontent-length: {}\r\n", body.len());
    let target = format!("POST /events/{name}");
    let given = crate::streams::ask(program.address, &target, &format!("{lines}\r\n{body}"));
    (given.status, given.text())
}

fn published(program: &Program, name: &str, data: &str) -> String {
    let (status, text) = publish(program, name, None, data);
    assert_eq!(status, 200, "{text}");
    let json: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    json["id"].as_str().expect("an id").to_owned()
}

/// Waits for a state that no metric has.
fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < PATIENCE, "waited in vain until {what}");
        std::thread::park_timeout(Duration::from_millis(5));
    }
}
