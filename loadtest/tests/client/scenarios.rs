//! Every scenario in the repository, at a small size, so that none rots: each runs, and loads its target with what its
//! name promises.

use std::fs;
use std::process::Command;

use loadtest::upstream::{RequestSeen, Upstream};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/scenarios");

/// Requests of each scenario; enough for a share of a tenth to be one of them.
const REQUESTS: &str = "12";

fn names() -> Vec<String> {
    let files = fs::read_dir(FOLDER).unwrap().map(|file| file.unwrap().path());
    let files = files.filter(|path| path.extension().is_some_and(|kind| kind == "scenario"));
    let mut names: Vec<String> =
        files.map(|path| path.file_stem().unwrap().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// The value of a size in a scenario's name: `16k` of `prompt-16k`.
fn size(name: &str, prefix: &str) -> Option<usize> {
    loadtest::load::schedule::parse_size(name.strip_prefix(prefix)?).ok()
}

fn header(seen: &RequestSeen, name: &str) -> Option<u64> {
    seen.header(name).and_then(|value| value.parse().ok())
}

/// Whether what arrived is what the name promises.
fn keeps_its_promise(name: &str, seen: &RequestSeen) -> bool {
    if let Some(bytes) = size(name, "prompt-") {
        return (bytes..bytes + 1024).contains(&(seen.body_len as usize));
    }
    if let Some(bytes) = size(name, "frames-") {
        return header(seen, "x-mock-frame-bytes") == Some(bytes as u64);
    }
    if let Some(streams) = size(name, "live-") {
        let asked = format!("--concurrency {streams}\n");
        return text(name).contains(&asked) && header(seen, "x-mock-gap-us") >= Some(100_000);
    }
    let pace = name.strip_prefix("paced-").and_then(|pace| pace.strip_suffix("ms"));
    pace.is_none_or(|pace| {
        header(seen, "x-mock-gap-us") == Some(pace.parse::<u64>().unwrap() * 1000)
    })
}

fn text(name: &str) -> String {
    fs::read_to_string(format!("{FOLDER}/{name}.scenario")).unwrap()
}

/// Runs the scenario small: twelve requests, twelve at a time; what is left is the file's own.
fn run(name: &str) {
    // Over HTTP/1.1 a connection that retires after a head gives no warning: who reuses it at that moment loses.
    let retires = name.starts_with("goaway");
    let mock = Upstream::builder().clear();
    let mock = if retires { mock.http2() } else { mock.http1() }.start().unwrap();
    let file = format!("{FOLDER}/{name}.scenario");
    let mut command = Command::new(env!("CARGO_BIN_EXE_loadtest"));
    command.args(["run", &mock.url(), "--scenario", &file, "-n", REQUESTS, "-c", REQUESTS]);
    if retires {
        command.args(["--http", "2"]);
    }
    let output = command.args(["--quiet", "--json", "-", "--allow-void"]).output().unwrap();
    let gives_up = name == "cancel";
    let expected = if gives_up { 4 } else { 0 };
    assert_eq!(output.status.code(), Some(expected), "{name}: {output:?}");
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let target = &report["targets"][0];
    let count = |field: &str| target[field].as_u64().unwrap();
    assert_eq!(count("requests"), 12, "{name}");
    assert_eq!(count("succeeded"), if gives_up { 0 } else { 12 }, "{name}: {target}");
    assert_eq!(count("slow_readers"), u64::from(name.ends_with("-readers")), "{name}");
    assert_eq!(count("connects") == 12, name == "cold", "{name}");
    let log = mock.log();
    assert!(log.requests.iter().all(|seen| keeps_its_promise(name, seen)), "{name}");
    let told = log.requests.iter().all(|seen| seen.header("x-mock-script") == Some("goaway"));
    assert_eq!(told, retires, "{name}");
}

#[test]
fn every_scenario_does_what_its_name_says() {
    let names = names();
    assert!(names.len() >= 23, "{names:?}");
    std::thread::scope(|scope| {
        for name in &names {
            scope.spawn(|| run(name));
        }
    });
}

#[test]
fn the_page_of_scenarios_names_each_of_them() {
    let page = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/scenarios/README.md"));
    let page = page.unwrap();
    for name in names() {
        assert!(page.contains(&format!("`{name}`")), "{name} is not in the table");
    }
}
