//! Clients that others wrote: curl in all its protocols, h2load, and oha where it is installed. The API
//! vendor's SDKs are in `sdk/`.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use loadtest::upstream::{Cut, Script, Seen, Upstream};
use serde_json::Value;

use crate::support::fixture::{Fixture, scratch};
use crate::support::installed::installed;

/// How curl can speak to a proxy in clear, and the version that it then reports. `--http2` asks HTTP/1.1
/// to be upgraded, which is not done for it.
const PROTOCOLS: [(&str, &str); 4] = [
    ("--http1.0", "1.1"),
    ("--http1.1", "1.1"),
    ("--http2", "1.1"),
    ("--http2-prior-knowledge", "2"),
];

const FRAMES: usize = 20;

/// Larger than any buffer on the way, and no two places alike.
fn large() -> String {
    (0..1 << 17).fold(String::new(), |mut text, nth| {
        let _ = writeln!(text, "{nth:07}");
        text
    })
}

fn streamed() -> String {
    (0..FRAMES).fold(String::new(), |mut text, nth| {
        let _ = write!(text, "data: {nth}\n\n");
        text
    })
}

fn upstream() -> Fixture {
    let large = large();
    Fixture::start(Upstream::builder().respond(move |seen: &Seen| {
        match seen.path_only() {
            "/v1/stream" => (0..FRAMES)
                .fold(Script::new().stream(), |script, nth| {
                    script.body(format!("data: {nth}\n\n")).wait(Duration::from_millis(2))
                })
                .finish(),
            "/v1/large" => Script::new().answer(200, &[], large.clone()),
            "/v1/echo" => Script::new().echo(),
            "/v1/cut" => Script::new().stream().body("data: 0\n\n").cut(Cut::Rst),
            _ => Script::new().answer(429, &[("retry-after", "7")], "{\"error\":{}}"),
        }
    }))
}

/// Runs curl; what it wrote besides the body goes behind it, as `--write-out` says.
fn curl(curl: &Path, protocol: &str, arguments: &[&str], url: &str) -> Output {
    Command::new(curl)
        // No configuration, proxy or progress of the machine's.
        .args(["-q", "--noproxy", "*", "-sS", "--max-time", "60", protocol])
        .args(arguments)
        .arg(url)
        .stdin(Stdio::null())
        .output()
        .expect("curl runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn curl_gets_every_byte_of_a_stream_and_of_a_large_answer() {
    let Some(program) = installed("curl") else { return };
    let fixture = upstream();
    let (streamed, large) = (streamed(), large());
    for (protocol, version) in PROTOCOLS {
        for (path, expected) in [("/v1/stream", &streamed), ("/v1/large", &large)] {
            let url = format!("http://{}{path}", fixture.address());
            let write_out = ["-N", "-w", "|%{http_version} %{http_code}"];
            let output = curl(&program, protocol, &write_out, &url);
            assert!(output.status.success(), "{protocol} {path}: {}", text(&output.stderr));
            let got = text(&output.stdout);
            let (body, told) = got.rsplit_once('|').expect("what -w writes");
            assert_eq!(told, format!("{version} 200"), "{protocol} {path}");
            assert!(body == expected, "{protocol} {path}: {} bytes", body.len());
        }
    }
}

#[test]
fn curl_that_reads_slowly_gets_every_byte() {
    let Some(program) = installed("curl") else { return };
    let fixture = upstream();
    let url = format!("http://{}/v1/large", fixture.address());
    for (protocol, _) in PROTOCOLS {
        let output = curl(&program, protocol, &["--limit-rate", "2M"], &url);
        assert!(output.status.success(), "{protocol}: {}", text(&output.stderr));
        assert!(text(&output.stdout) == large(), "{protocol}: {} bytes", output.stdout.len());
    }
}

/// With a length and in chunks, after `100 Continue` and without it.
#[test]
fn what_curl_uploads_arrives_and_comes_back() {
    let Some(program) = installed("curl") else { return };
    let fixture = upstream();
    let body = scratch().join("body");
    fs::write(&body, large()).expect("the file can be written");
    let from = format!("@{}", body.display());
    let put = body.to_str().expect("a path");
    let ways: [&[&str]; 4] = [
        &["--data-binary", &from],
        &["--data-binary", &from, "-H", "expect:"],
        &["-T", put],
        &["-T", put, "-H", "transfer-encoding: chunked"],
    ];
    let url = format!("http://{}/v1/echo", fixture.address());
    for (protocol, _) in PROTOCOLS {
        for way in ways {
            if protocol == "--http1.0" && way.contains(&"transfer-encoding: chunked") {
                continue; // there are no chunks in HTTP/1.0
            }
            let output = curl(&program, protocol, way, &url);
            assert!(output.status.success(), "{protocol} {way:?}: {}", text(&output.stderr));
            let len = output.stdout.len();
            assert!(text(&output.stdout) == large(), "{protocol} {way:?}: {len} bytes");
        }
    }
}

#[test]
fn curl_is_told_of_errors_as_the_upstream_words_them_and_of_cuts_by_its_exit_code() {
    let Some(program) = installed("curl") else { return };
    let fixture = upstream();
    for (protocol, _) in PROTOCOLS {
        let url = format!("http://{}/v1/other", fixture.address());
        let output = curl(&program, protocol, &["-i"], &url);
        let got = text(&output.stdout).to_lowercase();
        assert!(got.contains(" 429") && got.contains("retry-after: 7"), "{protocol}: {got}");
        assert!(got.ends_with("{\"error\":{}}"), "{protocol}: {got}");
        let head = curl(&program, protocol, &["-I"], &url);
        assert!(head.status.success() && text(&head.stdout).contains(" 429"), "{protocol}");
        let url = format!("http://{}/v1/cut", fixture.address());
        let output = curl(&program, protocol, &["-N"], &url);
        // What was on its way when the upstream reset may be lost.
        assert!("data: 0\n\n".starts_with(&text(&output.stdout)), "{protocol}");
        assert!(!output.status.success(), "{protocol}: a cut answer looked whole");
    }
}

/// The number before `what` in h2load's summary.
fn counted(said: &str, what: &str) -> u64 {
    let before = said.split(what).next().unwrap_or_default();
    let number = before.rsplit([',', ':', '(']).next().unwrap_or_default();
    number.trim().trim_end_matches(')').parse().unwrap_or_else(|_| panic!("no {what:?} in {said}"))
}

const REQUESTS: u64 = 1_000;

/// More streams than our server allows at once on one connection; and HTTP/1.1.
#[test]
fn all_that_h2load_asks_is_answered_in_full() {
    let Some(program) = installed("h2load") else { return };
    let fixture = upstream();
    let url = format!("http://{}/v1/stream", fixture.address());
    let ways: [&[&str]; 3] =
        [&["-c", "2", "-m", "300"], &["-c", "20", "-m", "5"], &["--h1", "-c", "20"]];
    for way in ways {
        let output = Command::new(&program)
            .args(["-n", &REQUESTS.to_string(), "-t", "1", "-T", "60"])
            .args(way)
            .arg(&url)
            .output()
            .expect("h2load runs");
        let said = text(&output.stdout);
        assert!(output.status.success(), "{way:?}: {said}{}", text(&output.stderr));
        assert_eq!(counted(&said, " succeeded"), REQUESTS, "{way:?}: {said}");
        assert_eq!(counted(&said, " 2xx"), REQUESTS, "{way:?}: {said}");
        if !way.contains(&"--h1") {
            assert_eq!(
                counted(&said, ") data"),
                REQUESTS * streamed().len() as u64,
                "{way:?}: {said}"
            );
        }
    }
}

/// `scripts/oha` installs it and compares its figures; here it is only asked whether all went well.
#[test]
fn all_that_oha_asks_is_answered() {
    let Some(program): Option<PathBuf> = installed("oha") else { return };
    let fixture = upstream();
    let url = format!("http://{}/v1/stream", fixture.address());
    for protocol in ["1.1", "2"] {
        let output = Command::new(&program)
            .args(["--no-tui", "--output-format", "json", "-n", "500", "-c", "10"])
            .args(["--http-version", protocol, &url])
            .output()
            .expect("oha runs");
        let report: Value = serde_json::from_slice(&output.stdout).expect("a report");
        assert_eq!(report["statusCodeDistribution"]["200"], 500, "HTTP/{protocol}: {report}");
    }
}
