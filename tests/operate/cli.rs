//! The program on the command line: exit codes, what it says, and how signals end it.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Stdio;

use loadtest::upstream::{Script, Upstream};
use rustix::process::{Pid, Signal, kill_process};

use crate::support::fixture::scratch;
use crate::support::program::{Guarded, Program, file_for, program, run};

/// Upstream's head and first token come at once, the rest when the request's body has ended: so a
/// stream is in flight for as long as the test wants.
fn held() -> Upstream {
    let script = Script::new().early().stream().tokens(1, std::time::Duration::ZERO);
    let script = script.await_body().done();
    Upstream::builder().script(script).start().expect("the mock upstream starts")
}

/// Reads on until `end` has come.
fn read_to(stream: &mut TcpStream, end: &str) -> String {
    let (mut text, mut byte) = (Vec::new(), [0]);
    while !text.ends_with(end.as_bytes()) {
        stream.read_exact(&mut byte).expect("the stream goes on");
        text.push(byte[0]);
    }
    String::from_utf8(text).expect("UTF-8")
}

#[test]
fn without_a_key_it_says_what_to_do_and_fails() {
    let (code, out, said) = run(&[]);
    assert_eq!((code, out.as_str()), (Some(1), ""));
    for word in ["OPENAI_API_KEY: is not set", "export OPENAI_API_KEY=", "firstbyte demo"] {
        assert!(said.contains(word), "{said}");
    }
}

#[test]
fn wrong_usage_is_told_from_failure_by_its_exit_code() {
    let (code, out, said) = run(&["--lsiten"]);
    assert_eq!((code, out.as_str()), (Some(2), ""));
    assert!(said.contains("--lsiten") && said.contains("--help"), "{said}");
}

#[test]
fn the_version_names_the_commit() {
    let (code, out, _) = run(&["--version"]);
    assert_eq!(code, Some(0));
    let version = out.strip_prefix(concat!("firstbyte ", env!("CARGO_PKG_VERSION"), " (")).unwrap();
    assert!(version.trim_end().len() > 7 && version.ends_with(")\n"), "{out}");
}

#[test]
fn completions_and_schema_are_what_their_readers_take() {
    let (code, out, _) = run(&["completions", "bash"]);
    assert!(code == Some(0) && out.contains("complete -F _firstbyte"), "{out}");
    let (code, out, _) = run(&["schema"]);
    let schema: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert!(code == Some(0) && schema["properties"]["upstreams"].is_object());
}

#[test]
fn check_says_what_a_good_file_means() {
    let upstream = held();
    let file = file_for(&upstream);
    let (code, out, said) = run(&["check", "-c", file.to_str().unwrap()]);
    assert_eq!((code, said.as_str()), (Some(0), ""), "{out}");
    assert!(out.starts_with("ok: ") && out.contains("/v1 → mock: https://localhost:"), "{out}");
}

#[test]
fn check_says_every_fault_of_a_bad_file_with_its_place() {
    let file = scratch().join("bad.yaml");
    fs::write(
        &file,
        "lisen: 127.0.0.1:0\nworkers: many\nupstreams:\n  a:\n    url: ftp://x\n\
         routes:\n  - path: /v1\n    upstream: b\n",
    )
    .unwrap();
    for arguments in [&["check", "-c"][..], &["-c"]] {
        let (code, out, said) = run(&[arguments, &[file.to_str().unwrap()]].concat());
        assert_eq!((code, out.as_str()), (Some(1), ""), "{said}");
        for place in ["bad.yaml:1:1", "bad.yaml:2:10", "bad.yaml:5:10", "bad.yaml:8:15"] {
            assert!(said.contains(place), "{place} in {said}");
        }
    }
}

#[test]
fn a_port_in_use_is_named() {
    let upstream = held();
    let file = file_for(&upstream);
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let text = fs::read_to_string(&file).unwrap();
    for key in ["listen", "admin"] {
        let text = text.replace(&format!("{key}: 127.0.0.1:0"), &format!("{key}: {address}"));
        fs::write(&file, text).unwrap();
        let (code, _, said) = run(&["-c", file.to_str().unwrap()]);
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains(&address) && said.contains("in use"), "{said}");
    }
}

#[test]
fn the_demo_compares_bytes_and_leaves_no_file() {
    let folder = scratch();
    let arguments = ["demo", "--requests", "3", "--tokens", "4", "--gap", "1ms"];
    let output = program().args(arguments).env("TMPDIR", &folder).output().unwrap();
    let shown = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{shown}");
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
    for part in [
        "time to first byte\n",
        "3 streams direct and 3 through the proxy",
        "identical to what the upstream sent",
        "errors  0\n",
        "by its own measurement",
    ] {
        assert!(shown.contains(part), "{part:?} in {shown}");
    }
    assert!(!shown.contains('\x1b'), "no terminal, no colours");
    assert_eq!(fs::read_dir(folder).unwrap().count(), 0);
}

#[test]
fn a_demo_without_a_folder_for_temporary_files_says_which_one() {
    let folder = scratch().join("missing");
    let output = program().arg("demo").env("TMPDIR", &folder).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains(folder.to_str().unwrap()), "{said}");
}

#[test]
fn a_demo_that_is_kept_answers_the_line_it_invites_to_try() {
    let arguments = ["demo", "--keep", "--requests", "1", "--tokens", "1"];
    let child = program().args(arguments).stdout(Stdio::piped()).spawn();
    let mut child = Guarded(child.unwrap());
    let mut lines = BufReader::new(child.0.stdout.take().unwrap()).lines().map(Result::unwrap);
    let curl = lines.find(|line| line.contains("curl -N http://")).unwrap();
    let address = curl.split('/').nth(2).unwrap();
    lines.find(|line| line.starts_with("and look at http://")).unwrap();
    let body = r#"{"model":"gpt-mock","stream":true,"messages":[]}"#;
    let mut client = TcpStream::connect(address).unwrap();
    write!(
        client,
        "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    assert!(read_to(&mut client, "\r\n0\r\n\r\n").contains("data: [DONE]\n\n"));
    kill_process(Pid::from_child(&child.0), Signal::INT).unwrap();
    assert_eq!(child.0.wait().unwrap().code(), Some(0));
}

#[test]
fn a_dead_upstream_is_told_now_and_then_and_not_with_every_request() {
    let upstream = held();
    let file = file_for(&upstream);
    let address = upstream.addr();
    drop(upstream);
    let text = fs::read_to_string(&file).unwrap().replace("workers: 1", "workers: 4");
    // Of a group, so that each worker ejects it too.
    let text = text.replace("upstream: mock", "upstream: g")
        + "groups: { g: { members: [{ upstream: mock }] } }\n";
    fs::write(&file, text).unwrap();
    let proxy = Program::start(&file);
    for _ in 0..64 {
        let mut client = TcpStream::connect(proxy.address).unwrap();
        client.write_all(b"GET /v1/models HTTP/1.1\r\nhost: a\r\n\r\n").unwrap();
        assert!(read_to(&mut client, "\r\n\r\n").starts_with("HTTP/1.1 502 "));
    }
    proxy.terminate();
    let (_, said) = proxy.ended();
    // Once for all workers, with where it was looked for, and not again within the minute.
    let told: Vec<_> = said.lines().filter(|line| line.contains("cannot connect")).collect();
    assert!(told.len() == 1 && told[0].contains(&format!(":{}", address.port())), "{said}");
    assert!(told[0].contains("failures=1") && told[0].contains("refused"), "{said}");
    assert!(said.matches("upstream ejected").count() <= 1, "{said}");
}

#[test]
fn sigterm_lets_what_is_in_flight_finish_and_takes_nothing_new() {
    let upstream = held();
    let proxy = Program::start(&file_for(&upstream));
    let mut client = proxy.ask("{\"stream\":true}");
    read_to(&mut client, "\"content\":\" token\"");
    proxy.wait_until("it is ready", |proxy| proxy.status("/readyz") == 200);
    proxy.terminate();
    proxy.wait_until("it drains", |proxy| proxy.status("/readyz") == 503);
    proxy.wait_until("it is closed", |proxy| TcpStream::connect(proxy.address).is_err());
    assert_eq!(proxy.status("/livez"), 200);
    client.write_all(b"0\r\n\r\n").unwrap();
    assert!(read_to(&mut client, "\r\n0\r\n\r\n").contains("data: [DONE]\n\n"));
    let (status, said) = proxy.ended();
    assert_eq!(status.code(), Some(0), "{said}");
    assert!(said.contains("cut=0"), "{said}");
}

#[test]
fn a_second_sigterm_ends_it_now_and_no_answer_looks_whole() {
    let upstream = held();
    let proxy = Program::start(&file_for(&upstream));
    let mut client = proxy.ask("{\"stream\":true}");
    read_to(&mut client, "\"content\":\" token\"");
    proxy.terminate();
    proxy.wait_until("it drains", |proxy| proxy.status("/readyz") == 503);
    proxy.terminate();
    let (status, said) = proxy.ended();
    assert_eq!(status.code(), Some(0), "{said}");
    assert!(said.contains("cut=1"), "{said}");
    let mut rest = Vec::new();
    // Ends by a close or a reset; either way without the last chunk.
    let _closed = client.read_to_end(&mut rest);
    assert!(!rest.ends_with(b"0\r\n\r\n"));
}
