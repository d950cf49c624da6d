//! `firstbyte key`: what it prints is what the configuration and the wire take.

use std::io::Write;
use std::process::{Command, Stdio};

use super::{answering, asked, chat, proxy};
use crate::support::installed::installed;
use crate::support::message::Ask;
use crate::support::program::{program, run};

/// A key, and what stands beside it on stderr.
fn made(name: &str) -> (String, String) {
    let (code, out, said) = run(&["key", "new", name]);
    assert_eq!(code, Some(0), "{said}");
    let key = out.strip_suffix('\n').expect("one line");
    assert!(key.starts_with("fb-") && key.bytes().all(|byte| byte.is_ascii_graphic()), "{out}");
    assert!(!said.contains(key), "the key is on stdout alone: {said}");
    (key.to_owned(), said)
}

/// `key hash` of this input.
fn hashed(input: &str) -> (Option<i32>, String, String) {
    let mut child = program()
        .args(["key", "hash"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    child.stdin.take().expect("a pipe").write_all(input.as_bytes()).expect("it reads");
    let output = child.wait_with_output().expect("it ends");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn a_key_works_once_the_lines_printed_with_it_are_in_the_configuration() {
    let (key, lines) = made("app-a");
    let (other, _) = made("app-a");
    assert_ne!(key, other);
    let fixture = proxy(answering(|_| chat(3, 2)), &format!("clients:\n{lines}"));
    let status = |key: &str| {
        let ask = Ask::post("/v1/chat/completions", "{}");
        asked(&fixture, &ask.header("authorization", &format!("Bearer {key}"))).status
    };
    assert_eq!((status(&key), status(&other), status(&key[..key.len() - 1])), (200, 401, 401));
    assert_eq!(fixture.access_log()[0]["client_name"], "app-a");
}

#[test]
fn a_name_that_no_client_can_have_makes_no_key() {
    let (code, out, said) = run(&["key", "new", "app a"]);
    assert_eq!((code, &*out), (Some(2), ""));
    assert!(said.contains("use at most 64 letters, digits"), "{said}");
}

#[test]
fn a_key_on_stdin_is_hashed_as_the_lines_that_were_printed_with_it() {
    let (key, lines) = made("app-a");
    for input in [key.clone(), format!("{key}\n"), format!("{key}\r\n")] {
        let (code, out, said) = hashed(&input);
        assert_eq!((code, &*said), (Some(0), ""));
        assert!(lines.contains(&format!("key_sha256: {out}")), "{lines}{out}");
    }
    let (code, out, said) = hashed("two words");
    assert_eq!((code, &*out), (Some(1), ""));
    assert!(said.contains("the key contains a space") && !said.contains("two"), "{said}");
}

/// On a terminal of its own: types the second argument when it is asked to, and prints all that the terminal showed.
const TYPIST: &str = r#"
import os, pty, sys
child, terminal = pty.fork()
if child == 0:
    os.execv(sys.argv[1], [sys.argv[1], "key", "hash"])
shown = b""
while b"not shown" not in shown:
    shown += os.read(terminal, 1024)
os.write(terminal, sys.argv[2].encode() + b"\n")
try:
    while more := os.read(terminal, 1024):
        shown += more
except OSError:
    pass  # the child has closed its side
os.waitpid(child, 0)
sys.stdout.buffer.write(shown)
"#;

#[test]
fn a_key_that_is_typed_is_not_shown() {
    let Some(python) = installed("python3") else { return };
    let (key, lines) = made("app-a");
    let output = Command::new(python)
        .args(["-c", TYPIST, program().get_program().to_str().expect("text"), &key])
        .output()
        .expect("python runs");
    let shown = String::from_utf8_lossy(&output.stdout).replace('\r', "");
    assert!(!shown.contains(&key), "{shown}");
    let digest = shown.lines().last().expect("a digest");
    assert!(digest.len() == 64 && lines.contains(digest), "{shown}{lines}");
}
