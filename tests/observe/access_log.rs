//! The access log as operators keep it: rotated, in the format that their tools read.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use firstbyte::config::LogFormat;
use loadtest::upstream::{Script, Upstream};
use rustix::process::Signal;

use crate::support::fixture::Fixture;
use crate::support::installed::installed;
use crate::support::message::Ask;
use crate::support::peers::http1_client::Http1;
use crate::support::program::{Program, file_for};

fn upstream() -> Upstream {
    Upstream::builder().script(Script::new().answer(200, &[], "{}")).start().expect("it starts")
}

/// The program with its access log in a folder of its own, and that file.
fn logging(upstream: &Upstream) -> (Program, PathBuf) {
    let file = file_for(upstream);
    let folder = file.parent().expect("a folder").join("log");
    fs::create_dir(&folder).expect("a folder can be made");
    let log = folder.join("access.jsonl");
    let text = fs::read_to_string(&file).expect("a file");
    let text = text.replace("access_log: off", &format!("access_log: file:{}", log.display()));
    fs::write(&file, text).expect("it can be written");
    (Program::start(&file), log)
}

fn ask(proxy: &Program, path: &str) {
    let mut client = Http1::new(proxy.connect());
    assert_eq!(client.ask(&Ask::get(path)).status, 200);
}

fn paths(log: &Path) -> Vec<String> {
    let text = fs::read_to_string(log).unwrap_or_default();
    let path = |line: &str| {
        let line: serde_json::Value = serde_json::from_str(line).expect("a JSON line");
        line["path"].as_str().expect("a path").to_owned()
    };
    // A line that is still being written is none yet.
    let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
    whole.lines().map(path).collect()
}

/// The block of `docs/logs.md` that begins with this line, without its fences.
fn documented(begins: &str) -> String {
    let page = include_str!("../../docs/logs.md");
    let blocks = page.split("```").skip(1).step_by(2);
    let mut texts = blocks.filter_map(|block| block.split_once('\n').map(|(_, text)| text));
    let found = texts.find(|text| text.starts_with(begins));
    found
        .unwrap_or_else(|| panic!("docs/logs.md has no block that begins with {begins:?}"))
        .to_owned()
}

#[test]
fn logrotate_as_documented_moves_the_log_away_and_no_line_is_lost() {
    let Some(logrotate) = installed("logrotate") else { return };
    let upstream = upstream();
    let (proxy, log) = logging(&upstream);
    ask(&proxy, "/v1/before");
    proxy.wait_until("the line is there", |_| paths(&log) == ["/v1/before"]);
    let folder = log.parent().expect("a folder");
    // As written, but for where the log is, whom it belongs to, and which process is told.
    let rules = documented("/var/log/firstbyte/access.jsonl {")
        .replace("/var/log/firstbyte", folder.to_str().expect("text"))
        .replace("create 0640 firstbyte adm", "create 0640")
        .replace(
            "systemctl kill --kill-whom=main --signal=HUP firstbyte",
            &format!("kill -HUP {}", proxy.pid().as_raw_nonzero()),
        );
    assert!(rules.contains("kill -HUP") && rules.contains("create 0640\n"), "{rules}");
    let file = folder.join("../logrotate.conf");
    fs::write(&file, rules).expect("it can be written");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).expect("its mode can be set");
    let rotated = Command::new(logrotate)
        .arg("--force")
        .arg("--state")
        .arg(folder.join("../state"))
        .arg(&file)
        .output()
        .expect("logrotate runs");
    let said = String::from_utf8_lossy(&rotated.stderr);
    assert!(rotated.status.success(), "{said}");
    let old = folder.join("access.jsonl.1");
    // The signal is on its way: until it is heeded, lines go to the old file, and are not lost there.
    let mut asked = 0;
    proxy.wait_until("lines go to the new file", |proxy| {
        ask(proxy, "/v1/after");
        asked += 1;
        !paths(&log).is_empty()
    });
    let mode = fs::metadata(&log).expect("a new file").permissions().mode();
    assert_eq!(mode & 0o777, 0o640, "it is the one that logrotate made");
    proxy.terminate();
    let (_, said) = proxy.ended();
    assert!(said.contains("access log reopened"), "{said}");
    let all = [paths(&old), paths(&log)].concat();
    assert_eq!(all.len(), 1 + asked, "{all:?}");
    assert_eq!(all[0], "/v1/before");
}

#[test]
fn a_log_that_cannot_be_reopened_goes_on_in_the_old_file_and_that_is_said() {
    let upstream = upstream();
    let (proxy, log) = logging(&upstream);
    ask(&proxy, "/v1/one");
    proxy.wait_until("the line is there", |_| paths(&log).len() == 1);
    let old = log.with_extension("old");
    fs::rename(&log, &old).expect("it can be moved");
    // Nobody can open a folder for writing, not even root.
    fs::create_dir(&log).expect("a folder can be made");
    proxy.signal(Signal::HUP);
    proxy.wait_until("it is heeded", |proxy| {
        proxy.count(r#"firstbyte_reloads_total{result="applied"}"#) == 1
    });
    ask(&proxy, "/v1/two");
    proxy.wait_until("the old file has it", |_| paths(&old) == ["/v1/one", "/v1/two"]);
    fs::remove_dir(&log).expect("it can be removed");
    proxy.signal(Signal::HUP);
    proxy.wait_until("lines go to the new file", |proxy| {
        ask(proxy, "/v1/three");
        log.is_file() && !paths(&log).is_empty()
    });
    proxy.terminate();
    let (_, said) = proxy.ended();
    assert!(said.contains("access log not reopened") && said.contains("SIGHUP"), "{said}");
    assert!(said.contains("access log reopened"), "{said}");
}

/// Or each rotation would look like a reload that failed, and wake somebody.
#[test]
fn without_a_file_sighup_reopens_the_log_and_is_no_refused_reload() {
    let fixture = Fixture::start(Upstream::builder());
    let log = fixture.log_file();
    fs::rename(&log, log.with_extension("old")).expect("it can be moved");
    fixture.proxy.reloader().hang_up();
    fixture.wait_until("it is opened again", |_| log.exists());
    assert_eq!(fixture.count(r#"firstbyte_reloads_total{result="refused"}"#), 0);
}

#[test]
fn a_line_names_the_request_as_its_client_does_and_says_what_it_was_sent() {
    let script = Script::new().answer(200, &[], "0123456789");
    let fixture = Fixture::start(Upstream::builder().script(script));
    let mut client = Http1::new(fixture.connect());
    let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let ask =
        Ask::get("/v1/models").header("x-request-id", "their-7").header("traceparent", parent);
    assert_eq!(client.ask(&ask).status, 200);
    let refused = client.ask(&Ask::get("/nowhere"));
    let body = refused.body().len();
    let lines = fixture.access_log();
    assert_eq!(lines[0]["client_request_id"], "their-7");
    assert_eq!(lines[0]["traceparent"], parent);
    assert_eq!((&lines[0]["bytes_sent"], &lines[0]["bytes_down"]), (&10.into(), &10.into()));
    assert!(lines[0]["first_body_us"].as_f64() >= lines[0]["ttfb_us"]["upstream"].as_f64());
    assert_eq!((&lines[1]["bytes_sent"], &lines[1]["bytes_down"]), (&body.into(), &0.into()));
    assert!(lines[1]["client_request_id"].is_null() && lines[1]["first_body_us"].is_null());
}

#[test]
fn the_common_log_format_has_what_its_readers_look_for() {
    let script = Script::new().answer(200, &[], "0123456789");
    let fixture = Fixture::configured(Upstream::builder().script(script), |config| {
        config.access_log_format = LogFormat::Clf;
    });
    let (log, from) = (fixture.log_file(), fixture.connect());
    let mut client = Http1::new(from);
    assert_eq!(client.ask(&Ask::get("/v1/models?key=sk-canary")).status, 200);
    let line = fixture.ended_with_log(&log);
    let (before, after) = line.split_once("] ").expect("a date");
    assert!(before.starts_with("127.0.0.1 - - ["), "{line}");
    assert_eq!(after, "\"GET /v1/models HTTP/1.1\" 200 10\n");
}

#[test]
fn the_format_changes_with_a_reload() {
    let upstream = upstream();
    let (proxy, log) = logging(&upstream);
    ask(&proxy, "/v1/one");
    proxy.wait_until("the line is there", |_| paths(&log).len() == 1);
    let file = log.parent().and_then(Path::parent).expect("a folder").join("firstbyte.yaml");
    let text = fs::read_to_string(&file).expect("a file");
    fs::write(&file, text + "access_log_format: [status, path]\n").expect("it can be written");
    assert_eq!(proxy.reload().0, 200);
    ask(&proxy, "/v1/two");
    let last = || fs::read_to_string(&log).unwrap_or_default().lines().last().map(str::to_owned);
    proxy.wait_until("the line is there", |_| {
        last().as_deref() == Some(r#"{"status":200,"path":"/v1/two"}"#)
    });
}

/// What is written to stdout goes there line by line as well.
#[test]
fn stdout_has_the_lines_and_sighup_does_it_no_harm() {
    let upstream = upstream();
    let proxy = crate::support::talking_program::TalkingProgram::quiet(&upstream);
    let mut client = proxy.connect();
    let mut asked = |path: &str| {
        write!(client, "GET {path} HTTP/1.1\r\nhost: a\r\n\r\n").expect("it reads");
        let mut head = [0; 12];
        client.read_exact(&mut head).expect("it answers");
        assert_eq!(&head, b"HTTP/1.1 200");
        let mut rest = vec![0; 64 * 1024];
        let _some = client.read(&mut rest).expect("it answers");
    };
    asked("/v1/one");
    proxy.signal(Signal::HUP);
    let (out, said) = proxy.terminate();
    assert!(out.contains("\"path\":\"/v1/one\""), "{out}\n{said}");
    assert!(!said.contains("reopened"), "{said}");
}
