//! Clients on this machine connect by a path.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use loadtest::upstream::{Script, Upstream};

use super::{clear, ready, text};
use crate::support::fixture::{Fixture, PATIENCE, scratch};
use crate::support::generations::Generations;

fn ask(path: &Path, more: &str) -> String {
    let mut stream = UnixStream::connect(path).expect("it listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
    let head = format!("GET /v1/models HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{more}\r\n");
    stream.write_all(head.as_bytes()).expect("it reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer
}

fn upstream() -> Upstream {
    clear(Upstream::builder().script(Script::new().answer(200, &[], "{}")))
}

fn behind(path: &Path, more: &str) -> Fixture {
    let upstream = upstream();
    let listen = format!("[127.0.0.1:0, {{ address: 'unix:{}', mode: 0640 }}]", path.display());
    let text = text(&upstream, &listen, more);
    ready(upstream, &text)
}

#[test]
fn a_socket_of_the_given_mode_takes_requests() {
    let path = scratch().join("s");
    let fixture = behind(&path, "trusted_proxies: unix\n");
    assert_eq!(fs::metadata(&path).expect("it is there").permissions().mode() & 0o777, 0o640);
    assert!(ask(&path, "").starts_with("HTTP/1.1 200 "));
    assert!(ask(&path, "x-forwarded-for: 192.0.2.7\r\n").starts_with("HTTP/1.1 200 "));
    let log = fixture.access_log();
    assert_eq!((&log[0]["client"], &log[1]["client"]), (&"unix".into(), &"192.0.2.7".into()));
}

#[test]
fn who_leaves_is_noticed_there_too() {
    let path = scratch().join("s");
    let upstream =
        clear(Upstream::builder().script(Script::new().stream().tokens(1, Duration::ZERO).stall()));
    let text = text(&upstream, &format!("'unix:{}'", path.display()), "");
    let fixture = ready(upstream, &text);
    let mut stream = UnixStream::connect(&path).expect("it listens");
    stream.write_all(b"GET /v1/chat HTTP/1.1\r\nhost: x\r\n\r\n").expect("it reads");
    stream.read_exact(&mut [0; 64]).expect("an answer begins");
    drop(stream);
    assert!(fixture.upstream.wait_for_cancel(0, PATIENCE).is_some(), "it is not cancelled");
}

#[test]
fn a_process_that_takes_over_has_the_same_socket() {
    let path = scratch().join("s");
    let upstream = upstream();
    let listen = format!("[127.0.0.1:0, 'unix:{}']", path.display());
    let text = text(&upstream, &listen, "").replace("workers: 1", "workers: 3");
    let all = Generations::start(&text);
    assert!(ask(&path, "").starts_with("HTTP/1.1 200 "));
    all.upgrade();
    for _ in 0..20 {
        assert!(ask(&path, "").starts_with("HTTP/1.1 200 "));
    }
}
