//! Responses that are kept: read again from any offset, by many at once, stopped, and given up in time.

mod cursors;
mod documented;
mod events;
mod http2;
mod limits;
mod owners;
mod readers;
mod reconnects;
mod stops;
mod untouched;
pub(crate) mod upstream;

use std::io::Write as _;
use std::net::SocketAddr;

use crate::support::fixture::{Fixture, PATIENCE};
use crate::support::peers::raw_http1::{Client, line};
use loadtest::upstream::{Script, Upstream};

/// Keeps what anybody asks to be kept.
pub(crate) const ANYONE: &str = "{ anonymous: true }";

/// A proxy that keeps streams on `/v1` as `resume` says, in front of an upstream at `address`; `more` is the rest of
/// the configuration.
pub(crate) fn proxy(address: SocketAddr, workers: usize, resume: &str, more: &str) -> Fixture {
    start(&file("http1", address, workers, resume, more))
}

/// The configuration of such a proxy.
pub(crate) fn file(
    protocol: &str,
    address: SocketAddr,
    workers: usize,
    resume: &str,
    more: &str,
) -> String {
    format!(
        "listen: 127.0.0.1:0\nadmin: 127.0.0.1:0\nworkers: {workers}\naccess_log: file:access.jsonl\n\
         allowed_hosts: ['*']\n\
         upstreams:\n  mock:\n    url: http://{address}\n    key: sk-ours-canary\n    protocol: {protocol}\n\
         routes:\n  - path: /v1\n    upstream: mock\n    resume: {resume}\n{more}\n"
    )
}

/// A proxy with this configuration.
pub(crate) fn start(text: &str) -> Fixture {
    // Nobody asks it: the fixture wants one.
    let idle = Upstream::builder().clear().http1().script(Script::new());
    let idle = idle.start().expect("it starts");
    let fixture = Fixture::of_file(idle, text);
    assert!(fixture.proxy.wait_ready(PATIENCE), "ready");
    fixture
}

/// What a reader was given.
#[derive(Debug)]
pub(crate) struct Given {
    pub(crate) head: String,
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
    /// Its framing was kept to the end.
    pub(crate) is_whole: bool,
}

impl Given {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        line(&self.head, name)
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The JSON's `code` and message.
    pub(crate) fn error(&self) -> (String, String) {
        let json: serde_json::Value = serde_json::from_slice(&self.body).expect("JSON");
        let text = |name: &str| json["error"][name].as_str().unwrap_or_default().to_owned();
        (text("code"), text("message"))
    }
}

/// Sends a request of these lines; the answer is to be read.
pub(crate) fn send(address: SocketAddr, target: &str, lines: &str) -> Client {
    let mut client = Client::to(address);
    write!(client.stream, "{target} HTTP/1.1\r\nhost: localhost\r\n{lines}\r\n")
        .expect("the proxy reads");
    client
}

/// The head of an answer, in lower case, and its id where it has one.
pub(crate) fn head(client: &mut Client) -> (String, Option<String>) {
    let head = client.head().expect("a head").to_ascii_lowercase();
    let id = line(&head, "x-firstbyte-stream").map(str::to_owned);
    (head, id)
}

/// One request and all that comes of it.
pub(crate) fn ask(address: SocketAddr, target: &str, lines: &str) -> Given {
    rest(&mut send(address, target, lines), target.starts_with("HEAD"))
}

fn rest(client: &mut Client, is_bodyless: bool) -> Given {
    let (head, _) = self::head(client);
    let status = head.split(' ').nth(1).and_then(|text| text.parse().ok()).expect("a status");
    let mut body = Vec::new();
    let is_whole = if is_bodyless || status == 204 {
        true
    } else if line(&head, "transfer-encoding").is_some() {
        client.chunks(&mut body)
    } else {
        let length = line(&head, "content-length").expect("a framing");
        body.resize(length.parse().expect("a number"), 0);
        client.read_exact(&mut body);
        true
    };
    Given { head, status, body, is_whole }
}

/// Begins a stream; its client, and its id.
pub(crate) fn begin(address: SocketAddr, lines: &str) -> (Client, String) {
    let lines = format!("{lines}x-firstbyte-resume: 1\r\ncontent-length: 2\r\n\r\n{{}}");
    let mut client = Client::to(address);
    write!(client.stream, "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\n{lines}")
        .expect("the proxy reads");
    let (head, id) = head(&mut client);
    (client, id.unwrap_or_else(|| panic!("it is kept: {head}")))
}

/// Reads chunks until so many bytes are there.
pub(crate) fn read_up_to(client: &mut Client, body: &mut Vec<u8>, count: usize) {
    while body.len() < count {
        let mut size = Vec::new();
        while !size.ends_with(b"\r\n") {
            let mut byte = [0];
            client.read_exact(&mut byte);
            size.push(byte[0]);
        }
        let size = std::str::from_utf8(&size).expect("text").trim_end();
        let size = usize::from_str_radix(size, 16).expect("a chunk's size");
        assert!(size > 0, "it ended after {} of {count} bytes", body.len());
        let mut chunk = vec![0; size + 2];
        client.read_exact(&mut chunk);
        body.extend_from_slice(&chunk[..size]);
    }
}
