//! What clients used, and what their budgets stand at: kept over restarts, handovers, kills and damage.

mod damaged;
mod documented;
mod handed;
mod restarted;

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::Duration;

use loadtest::upstream::{Script, Seen, Upstream};

use crate::support::fixture::PATIENCE;
use crate::support::program::run;

/// What one chat costs, in tokens.
const INPUT: u64 = 100;
const OUTPUT: u64 = 10;

fn key(client: &str) -> String {
    format!("fb-{client}-canary-0123456789")
}

/// Chats that say what they cost; under `/v1/long` they last until their request's body ends.
fn upstream() -> Upstream {
    let last = format!(
        "data: {{\"choices\":[],\"usage\":{{\"prompt_tokens\":{INPUT},\"completion_tokens\":{OUTPUT},\
         \"total_tokens\":{}}}}}\n\ndata: [DONE]\n\n",
        INPUT + OUTPUT
    );
    let respond = move |seen: &Seen| match seen.path_only() {
        "/v1/models" => Script::new().answer(200, &[], "{}"),
        "/v1/long" => {
            let begun = Script::new().early().stream().tokens(1, Duration::ZERO);
            begun.await_body().body(last.clone()).finish()
        }
        _ => Script::new().stream().tokens(1, Duration::ZERO).body(last.clone()).finish(),
    };
    Upstream::builder().clear().http2().respond_early(respond).start().expect("it starts")
}

/// A configuration with a store in its folder, these clients, and what more is said.
fn file(upstream: &Upstream, clients: &[(&str, &str)], more: &str) -> String {
    let mut text = format!(
        "listen: 127.0.0.1:0\nadmin: 127.0.0.1:0\nworkers: 2\naccess_log: off\nstore: store\n\
         upstreams:\n  a: {{ url: '{}/v1', protocol: http2 }}\n\
         routes: [{{ path: /v1, upstream: a }}]\nclient: {{ drain: 1h }}\n\
         {more}clients:\n",
        upstream.url()
    );
    for (name, rest) in clients {
        let _ = writeln!(text, "  - {{ name: {name}, key: {}, {rest} }}", key(name)); // into a String
    }
    text
}

fn connected(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).expect("it listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
    stream
}

/// One chat of a client: its whole answer.
fn chat(address: SocketAddr, client: &str) -> String {
    let mut stream = connected(address);
    write!(
        stream,
        "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\
         authorization: Bearer {}\r\ncontent-length: 13\r\n\r\n{{\"model\":\"m\"}}",
        key(client)
    )
    .expect("the proxy reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("the proxy answers");
    answer
}

fn chats(address: SocketAddr, client: &str, many: u64) {
    for _ in 0..many {
        let answer = chat(address, client);
        assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains("[DONE]"), "{answer}");
    }
}

/// The status and the body of a page with its head.
fn body(page: &str) -> &str {
    page.split_once("\r\n\r\n").map_or("", |(_, body)| body)
}

/// A CSV line of so many chats, which have no price.
fn line(begin: &str, many: u64) -> String {
    let (input, output) = (INPUT * many, OUTPUT * many);
    format!("{begin},{many},{input},0,{output},0.00,0")
}

/// What `firstbyte usage` prints as CSV, by client, without its header.
fn usage(store: &Path) -> Vec<String> {
    let store = store.to_str().expect("UTF-8");
    let wanted = ["usage", "--store", store, "--since", "2020-01-01", "--by", "client"];
    let (code, out, said) = run(&[&wanted[..], &["--format", "csv"]].concat());
    assert_eq!((code, said.as_str()), (Some(0), ""), "{out}");
    out.lines().skip(1).map(str::to_owned).collect()
}
