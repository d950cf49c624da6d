//! An answer that comes while its request is still sent reaches the client, whoever wrote that: our own, and an
//! upstream's. Many read nothing before they have sent all, and take a closed or reset connection for a failure.

use std::fs;
use std::path::Path;
use std::process::Command;

use loadtest::upstream::{Script, Seen, Upstream};
use serde_json::Value;

use super::program::Sdk;
use crate::support::fixture::{Fixture, scratch};
use crate::support::installed::installed;

/// What is sent, and how often; more than any buffer on the way holds.
fn load() -> (usize, u64) {
    if std::env::var_os("FIRSTBYTE_FULL").is_some() { (20 << 20, 30) } else { (6 << 20, 2) }
}

/// The upstream answers at the head, and takes none of the body.
fn script(_: &Seen) -> Script {
    Script::new().unread_body().answer(413, &[], "{\"error\":{\"message\":\"too large\"}}")
}

/// What is posted where, and what the answer is: ours, and the upstream's.
const PATHS: [(&str, &str); 2] = [("/nowhere", "404"), ("/v1/files", "413")];

fn assert_told(fixture: &Fixture, check: impl Fn(&str, &str)) {
    for (path, status) in PATHS {
        check(&format!("http://{}{path}", fixture.address()), status);
    }
}

fn start() -> [Fixture; 2] {
    let http1 = Upstream::builder().clear().http1().respond(script);
    [Fixture::start(Upstream::builder().http2().respond(script)), Fixture::start(http1)]
}

/// httpx under the SDK, aiohttp, requests, plain asyncio; Node's fetch.
fn assert_programs(sdk: Sdk) -> Option<()> {
    let interpreter = sdk.install()?;
    let program = sdk.program("early");
    let (bytes, times) = load();
    for fixture in start() {
        assert_told(&fixture, |url, status| {
            let output = Command::new(&interpreter)
                .arg(&program)
                .args([url, &bytes.to_string(), &times.to_string()])
                .env("NO_PROXY", "*")
                .output()
                .expect("the interpreter runs");
            let said = String::from_utf8_lossy(&output.stdout);
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            for line in said.lines() {
                let line: Value = serde_json::from_str(line).expect("JSON");
                assert_eq!(line["told"], serde_json::json!({ status: times }), "{url}: {line}");
            }
            assert!(!said.is_empty());
        });
    }
    Some(())
}

#[test]
fn python_clients_that_still_send_get_it() {
    let _skipped = assert_programs(Sdk::Python);
}

#[test]
fn node_that_still_sends_gets_it() {
    let _skipped = assert_programs(Sdk::Node);
}

fn curl(program: &Path, arguments: &[&str], file: &str, url: &str) -> String {
    let output = Command::new(program)
        .args(["-q", "--noproxy", "*", "-sS", "--max-time", "60", "-w", "|%{http_code}"])
        .args(arguments)
        .args(["-X", "POST", "--data-binary", &format!("@{file}"), url])
        .output()
        .expect("curl runs");
    let (said, error) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{arguments:?} {url}: {said}{error}");
    said.rsplit('|').next().unwrap_or_default().to_owned()
}

#[test]
fn curl_that_still_sends_gets_it_over_either_protocol() {
    let Some(program) = installed("curl") else { return };
    let (bytes, times) = load();
    let file = scratch().join("body");
    fs::write(&file, vec![b'x'; bytes]).expect("the file can be written");
    let file = file.to_str().expect("a path");
    let ways: [&[&str]; 4] = [
        &["--http1.1"],
        &["--http1.1", "-H", "expect:"],
        &["--http1.1", "-H", "expect:", "-H", "connection: close"],
        &["--http2-prior-knowledge"],
    ];
    for fixture in start() {
        assert_told(&fixture, |url, status| {
            for way in ways {
                for _ in 0..times {
                    assert_eq!(curl(&program, way, file, url), status, "{way:?} {url}");
                }
            }
        });
    }
}
