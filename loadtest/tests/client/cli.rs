//! The command itself, as a user calls it, against the mock upstream.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::time::Duration;

use loadtest::upstream::Upstream;

fn mock() -> Upstream {
    let builder = Upstream::builder().clear().http1();
    builder.tokens(4).token_every(Duration::from_millis(1)).start().unwrap()
}

/// Runs the command; a machine that is busy with other tests must not void it.
fn loadtest(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_loadtest"));
    command.args(args);
    if matches!(args.first(), Some(&("run" | "compare"))) {
        command.args(["--max-lag", "10s", "--max-waiting", "1"]);
    }
    command.output().unwrap()
}

fn json(output: &Output) -> serde_json::Value {
    let text = String::from_utf8_lossy(&output.stdout);
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text} {output:?}"))
}

fn folder(name: &str) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&path);
    fs::create_dir_all(&path).unwrap();
    path
}

#[test]
fn a_run_reports_every_request_and_verifies_its_bytes() {
    let mock = mock();
    for load in [&["-c", "3"][..], &["-q", "200"], &["--stages", "1s@20..60", "--arrivals=poisson"]]
    {
        let args = ["run", &mock.url(), "-n", "20", "--verify", "--quiet", "--json", "-"];
        let output = loadtest(&[&args[..], load].concat());
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        let report = json(&output);
        let target = &report["targets"][0];
        assert_eq!(target["requests"], 20, "{load:?}");
        assert_eq!(target["succeeded"], 20);
        assert_eq!(target["verified"], 20);
        let measure = |name: &str| {
            let all = target["measures"].as_array().unwrap();
            all.iter().find(|measure| measure["name"] == name).unwrap()["count"].clone()
        };
        assert_eq!(measure("ttft"), 20);
        assert_eq!(measure("leg_up"), 20);
    }
    assert_eq!(mock.requests(), 60);
}

#[test]
fn a_condition_that_holds_fails_the_run_and_a_wrong_one_is_refused() {
    let mock = mock();
    let run = |condition: &str| {
        let args = ["run", &mock.url(), "-n", "5", "--fail-if", condition];
        loadtest(&args).status.code()
    };
    assert_eq!(run("ttfb_p50>1ns"), Some(2), "ns is no unit");
    assert_eq!(run("ttfb_p50>0us"), Some(1));
    assert_eq!(run("ttfb_p50>100s"), Some(0));
    assert_eq!(run("proxy:ttfb_p50>100s"), Some(2));
    assert_eq!(run("added_ttfb_p50>100s"), Some(2));
}

#[test]
fn nobody_listening_is_told_and_not_measured() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let output = loadtest(&["run", &format!("http://{free}"), "-n", "5"]);
    assert_eq!(output.status.code(), Some(4));
    assert!(String::from_utf8_lossy(&output.stderr).contains("no connection"), "{output:?}");
    assert!(output.stdout.is_empty());
}

#[test]
fn a_late_generator_voids_the_run() {
    let mock = mock();
    let args = ["run", &mock.url(), "-n", "5", "--max-lag", "0s"];
    let strict = Command::new(env!("CARGO_BIN_EXE_loadtest")).args(args).output().unwrap();
    assert_eq!(strict.status.code(), Some(3), "{strict:?}");
    assert!(String::from_utf8_lossy(&strict.stdout).contains("VOID"));
    let mut lenient = Command::new(env!("CARGO_BIN_EXE_loadtest"));
    let lenient = lenient.args(args).arg("--allow-void").output().unwrap();
    assert_eq!(lenient.status.code(), Some(0), "{lenient:?}");
}

#[test]
fn the_files_are_what_their_readers_expect() {
    use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};

    let (mock, folder) = (mock(), folder("files"));
    let path = |name: &str| folder.join(name).to_string_lossy().into_owned();
    let (jsonl, hlog, csv) = (path("r.jsonl"), path("r.hlog"), path("r.csv"));
    let files = ["--jsonl", &jsonl, "--hlog", &hlog, "--csv", &csv, "--hgrm", &path("hgrm")];
    let output = loadtest(&[&["run", &mock.url(), "-n", "10"], &files[..]].concat());
    assert_eq!(output.status.code(), Some(0), "{output:?}");

    let lines = fs::read_to_string(jsonl).unwrap();
    assert_eq!(lines.lines().count(), 10);
    let line: serde_json::Value = serde_json::from_str(lines.lines().next().unwrap()).unwrap();
    assert!(line["head_ns"].as_u64().unwrap() <= line["end_ns"].as_u64().unwrap());

    let log = fs::read(hlog).unwrap();
    let mut heads = 0;
    for entry in IntervalLogIterator::new(&log) {
        let LogEntry::Interval(interval) = entry.unwrap() else { continue };
        if interval.tag().unwrap().as_str() == "target/ttfb" {
            let bytes = base64(interval.encoded_histogram());
            let mut deserializer = hdrhistogram::serialization::Deserializer::new();
            let histogram: hdrhistogram::Histogram<u64> =
                deserializer.deserialize(&mut &bytes[..]).unwrap();
            heads += histogram.len();
        }
    }
    assert_eq!(heads, 10);

    let spectrum = fs::read_to_string(folder.join("hgrm/target.ttfb.hgrm")).unwrap();
    assert!(spectrum.trim_start().starts_with("Value"), "{spectrum}");
    assert!(spectrum.contains("Total count    =           10]"), "{spectrum}");
    assert!(fs::read_to_string(csv).unwrap().contains("\ntarget,ttfb,10,"));
}

#[test]
fn a_comparison_tells_what_is_added_and_what_is_noise() {
    let direct = mock();
    let slow = Upstream::builder().clear().http1().tokens(4);
    let slow = slow.first_token_after(Duration::from_millis(30)).start().unwrap();
    let targets = [
        format!("direct={}", direct.url()),
        format!("same={}", direct.url()),
        format!("slow={}", slow.url()),
    ];
    let targets = targets.each_ref().map(String::as_str);
    let rotation = ["--slice", "400ms", "--rounds", "5", "--warm-up", "100ms", "-q", "50"];
    let common = ["--quiet", "--json", "-", "--fail-if", "slow:added_ttfb_p50>20ms"];
    let output = loadtest(&[&["compare"], &targets[..], &rotation, &common].concat());
    assert_eq!(output.status.code(), Some(1), "slow adds about 30 ms: {output:?}");
    let report = json(&output);
    let comparison = &report["comparison"];
    assert_eq!(comparison["rounds"], 5);
    let added = |target: &str, quantile: &str| {
        let all = comparison["added"].as_array().unwrap().clone();
        all.into_iter()
            .find(|added| {
                added["target"] == target
                    && added["measure"] == "ttfb"
                    && added["quantile"] == quantile
            })
            .unwrap()
    };
    let slow = added("slow", "p50");
    assert_eq!(slow["within_noise"], false);
    assert!(slow["low_ns"].as_f64().unwrap() > 20e6, "{slow}");
    let same = added("same", "p50");
    assert!(same["added_ns"].as_f64().unwrap().abs() < slow["added_ns"].as_f64().unwrap() / 2.0);
}

/// The interval log's encoding (RFC 4648), which no other part of the house needs.
fn base64(text: &str) -> Vec<u8> {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let (mut bytes, mut buffer, mut bits) = (Vec::new(), 0_u32, 0);
    for digit in text.bytes().filter(|byte| *byte != b'=') {
        let value = ALPHABET.iter().position(|own| *own == digit).unwrap();
        buffer = (buffer << 6) | u32::try_from(value).unwrap();
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push((buffer >> bits) as u8);
        }
    }
    bytes
}
