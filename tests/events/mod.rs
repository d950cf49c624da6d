//! Named events: published and subscribed to on the wire.

mod admin;
mod bounds;
mod crowd;
mod cursors;
mod documented;
mod ends;
mod order;
mod publish;
mod rights;
mod slow;

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};

use loadtest::upstream::Upstream;

use crate::support::fixture::{Fixture, PATIENCE};
use crate::support::message::{Answer, Ask};
use crate::support::peers::http1_client::Http1;

/// A configuration file with `events` under `/events`, and what is `below`.
fn file(upstream: &Upstream, workers: usize, events: &str, below: &str) -> String {
    let mut text = format!(
        "listen: 127.0.0.1:0\nadmin: 127.0.0.1:0\nworkers: {workers}\naccess_log: file:access.jsonl\n\
         allowed_hosts: '*'\nupstreams:\n  mock:\n    url: {}\n\
         routes:\n  - {{ path: /v1, upstream: mock }}\n  - {{ path: /events, events: {events} }}\n",
        upstream.base_url(),
    );
    let _ = writeln!(text, "{below}"); // into a String
    text
}

fn upstream() -> Upstream {
    Upstream::builder().clear().http1().start().expect("the mock upstream starts")
}

fn proxy(workers: usize, events: &str, below: &str) -> Fixture {
    let upstream = upstream();
    let text = file(&upstream, workers, events, below);
    let fixture = Fixture::of_file(upstream, &text);
    assert!(fixture.proxy.wait_ready(PATIENCE), "ready");
    fixture
}

/// A publish of events as they stand in a stream.
fn sse(name: &str, body: &str) -> Ask {
    let ask = Ask::post(&format!("/events/{name}"), body.to_owned());
    ask.header("content-type", "text/event-stream")
}

/// A publish of one event as JSON.
fn json(name: &str, body: &str) -> Ask {
    let ask = Ask::post(&format!("/events/{name}"), body.to_owned());
    ask.header("content-type", "application/json")
}

fn asked(fixture: &Fixture, ask: &Ask) -> Answer {
    Http1::new(fixture.connect()).ask(ask)
}

/// Publishes, and returns the id that the event got.
fn published(fixture: &Fixture, ask: &Ask) -> String {
    let answer = asked(fixture, ask);
    assert_eq!(answer.status, 200, "{:?}", String::from_utf8_lossy(&answer.body()));
    answer.json()["id"].as_str().expect("an id").to_owned()
}

/// How an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Whole,
    Cut,
}

/// A subscription over HTTP/1.1, read event by event.
struct Subscriber {
    head: String,
    reader: BufReader<TcpStream>,
    /// What came and was not taken as an event.
    text: String,
    comments: usize,
    end: Option<End>,
}

impl Subscriber {
    fn to(fixture: &Fixture, path: &str) -> Self {
        Self::with(fixture.address(), path, "")
    }

    /// With these lines in the request's head.
    fn with(address: SocketAddr, path: &str, lines: &str) -> Self {
        let stream = TcpStream::connect(address).expect("the proxy listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
        Self::on(stream, path, lines)
    }

    fn on(mut stream: TcpStream, path: &str, lines: &str) -> Self {
        write!(stream, "GET {path} HTTP/1.1\r\nhost: localhost\r\n{lines}\r\n").expect("is sent");
        let mut reader = BufReader::new(stream);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert!(reader.read_line(&mut head).expect("a head") > 0, "{head}");
        }
        let mut subscriber = Self { head, reader, text: String::new(), comments: 0, end: None };
        if let Some(length) = subscriber.line("content-length") {
            let mut body = vec![0; length.parse().expect("a number")];
            subscriber.reader.read_exact(&mut body).expect("a body");
            subscriber.text = String::from_utf8(body).expect("text");
            subscriber.end = Some(End::Whole);
        }
        subscriber
    }

    fn status(&self) -> u16 {
        self.head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status")
    }

    fn line(&self, name: &str) -> Option<&str> {
        crate::support::peers::raw_http1::line(&self.head, name)
    }

    /// The id of the event in front of the first one, as the answer's head says it.
    fn behind(&self) -> &str {
        assert_eq!(self.status(), 200, "{} {}", self.head, self.text);
        self.line("last-event-id").expect("last-event-id")
    }

    /// The next event without its blank line; `None` where the answer ends before one.
    fn event(&mut self) -> Option<String> {
        loop {
            while let Some(rest) = self.text.strip_prefix(":\n") {
                self.text = rest.to_owned();
                self.comments += 1;
            }
            if let Some(at) = self.text.find("\n\n") {
                let event = self.text[..at].to_owned();
                self.text.drain(..at + 2);
                return Some(event);
            }
            if self.end.is_some() || !self.fill() {
                return None;
            }
        }
    }

    /// The data of the next event.
    fn data(&mut self) -> String {
        let event = self.event().expect("an event");
        let lines = event.lines().filter_map(|line| line.strip_prefix("data: "));
        lines.collect::<Vec<_>>().join("\n")
    }

    fn comment(&mut self) {
        while !self.text.starts_with(":\n") {
            assert!(self.fill(), "the answer ended: {:?}", self.end);
        }
        self.text.drain(..2);
    }

    /// Reads to the end.
    fn ended(&mut self) -> End {
        while self.end.is_none() {
            self.fill();
        }
        self.end.expect("an end")
    }

    fn fill(&mut self) -> bool {
        let mut size = String::new();
        let read = self.reader.read_line(&mut size);
        assert!(
            !read.as_ref().is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock),
            "the proxy says nothing for too long; {:?}",
            self.text
        );
        let size = read.ok().and_then(|_| usize::from_str_radix(size.trim_end(), 16).ok());
        let mut chunk = vec![0; size.map_or(0, |size| size + 2)];
        if size.is_none() || self.reader.read_exact(&mut chunk).is_err() {
            self.end = Some(End::Cut);
            return false;
        }
        if size == Some(0) {
            self.end = Some(End::Whole);
            return false;
        }
        chunk.truncate(chunk.len() - 2);
        self.text.push_str(&String::from_utf8(chunk).expect("text"));
        true
    }
}
