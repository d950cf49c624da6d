//! The access log: every line JSON, every loss counted, nobody held up.

use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use http::StatusCode;

use super::super::request::Record;
use super::super::{Hashed, Outcome, Recorder};
use super::*;
use crate::config::{LogField, LogFormat};
use crate::error::{Cause, Error, Kind};
use crate::record::collect::failures::FailureLog;
use crate::record::collect::labels::{LabelIds, Labels};
use crate::record::collect::ledger::{Ledger, LeftBehind};
use crate::record::collect::outbox::OutboxSetup;
use crate::record::collect::slots::Slots;
use crate::record::export::log_writer::{LogWriter, Target};

/// Long enough that only a fault reaches it.
const EVER: Duration = Duration::from_secs(30);

/// A file of its own, removed in the end.
struct LogFile(PathBuf);

impl LogFile {
    fn new(name: &str) -> LogFile {
        LogFile(std::env::temp_dir().join(format!("firstbyte-{}-{name}.log", std::process::id())))
    }

    fn lines(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(&self.0).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

impl Drop for LogFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Runs a worker to its end and reads what it logged.
fn logged(name: &str, work: impl FnOnce(&Recorder)) -> Vec<Value> {
    let file = LogFile::new(name);
    let hub = hub(AccessLog::File(file.0.clone()));
    local(async { work(&hub.worker(0).start()) });
    assert!(hub.finish(EVER), "lines were left unwritten");
    file.lines()
}

#[test]
fn hostile_paths_make_one_valid_line_each() {
    let paths = [
        "/plain",
        "/\"},{\"outcome\":\"complete",
        "/line\nbreak\r\n{\"forged\":true}",
        "/\\u0000\\",
        "/\u{0}\u{1b}[31m\u{7f}",
        "/\u{2028}日本語/🦀",
        "",
    ];
    let lines = logged("hostile", |recorder| {
        for path in paths {
            recorder.open(opened(path, Instant::now())).end(Outcome::Refused);
        }
    });
    let read: Vec<_> = lines.iter().map(|line| line["path"].as_str().unwrap()).collect();
    assert_eq!(read, paths);
    assert!(lines.iter().all(|line| line["outcome"] == "refused" && line.get("forged").is_none()));
}

#[test]
fn a_line_tells_the_whole_story() {
    let mut id = String::new();
    let lines = logged("story", |recorder| {
        let start = Instant::now();
        let at = |micros| start + Duration::from_micros(micros);
        let record = recorder.open(opened("/v1/chat/completions", start));
        id = record.id().to_string();
        record.routed(RouteId(0), UpstreamId(1));
        record.head_sent(at(20));
        record.request_bytes(30);
        record.request_bytes(12);
        record.upstream_head(at(120), StatusCode::OK, || Some("req_42"));
        record.handed(at(120));
        record.written(at(150));
        record.upstream_frame(at(200), 7);
        record.upstream_frame(at(900), 8);
        record.status(StatusCode::OK);
        let cut = Error::new(Kind::UpstreamCut).because(Cause::ResetInternalError);
        record.upstream_failed(&cut);
        record.failed(&cut);
        record.failed(&Kind::ClientGone.into());
        record.named(
            Some("their-id"),
            Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
            Hashed::default(),
        );
        record.sent(15);
        record.end(Outcome::UpstreamFailed);
    });
    let line = &lines[0];
    let described = include_str!("../../../docs/logs.md");
    for field in line.as_object().unwrap().keys() {
        assert!(described.contains(&format!("`{field}")), "{field} is not described");
    }
    for (field, value) in [
        ("id", id.as_str()),
        ("client", "127.0.0.1:4000"),
        ("version", "HTTP/1.1"),
        ("method", "POST"),
        ("route", "/v1"),
        ("upstream", "vllm"),
        ("outcome", "upstream_failed"),
        ("error", "upstream_cut"),
        ("cause", "reset_internal_error"),
        ("upstream_request_id", "req_42"),
        ("client_request_id", "their-id"),
        ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
    ] {
        assert_eq!(line[field], value, "{field}");
    }
    for (field, value) in [
        ("bytes_up", 42),
        ("bytes_down", 15),
        ("bytes_sent", 15),
        ("frames", 2),
        ("status", 200),
        ("replays", 0),
    ] {
        assert_eq!(line[field], value, "{field}");
    }
    assert_eq!(line["ttfb_us"], serde_json::json!({ "upstream": 100.0, "client": 150.0 }));
    let overhead = serde_json::json!({ "request": 20.0, "head": 30.0, "chunk_max": null });
    assert_eq!(line["overhead_us"], overhead);
    assert_eq!(line["gap_max_us"]["upstream"], 700.0);
    assert_eq!(line["first_body_us"], 180.0);
    let stamp = line["ts"].as_str().unwrap();
    assert!(stamp.len() == 24 && stamp.starts_with("20") && stamp.ends_with('Z'), "{stamp}");
}

#[test]
fn a_query_never_reaches_the_log_and_a_long_path_is_cut() {
    let long = format!("/{}", "é".repeat(40_000));
    let lines = logged("canary", |recorder| {
        drop(recorder.open(opened("/v1?key=sk-canary", Instant::now())));
        drop(recorder.open(opened("/v1#sk-canary", Instant::now())));
        drop(recorder.open(opened(&long, Instant::now())));
    });
    assert_eq!(
        (lines.len(), &lines[0]["path"], &lines[1]["path"]),
        (3, &"/v1".into(), &"/v1".into())
    );
    assert!(!lines.iter().any(|line| line.to_string().contains("canary")));
    let path = lines[2]["path"].as_str().unwrap();
    assert!(long.starts_with(path) && path.len() > 1_000 && path.len() <= 1_024);
}

#[test]
fn everything_is_flushed_when_the_worker_ends() {
    let lines = logged("flush", |recorder| {
        for _ in 0..1_300 {
            drop(recorder.open(opened("/v1", Instant::now())));
        }
    });
    assert_eq!(lines.len(), 1_300);
}

/// Lets each write through when it is told to, and says how many lines it had.
struct Gate {
    written: SyncSender<usize>,
    open: Mutex<Receiver<io::Result<()>>>,
}

impl Write for Gate {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        // A gate whose keeper is gone stands open.
        self.open.lock().unwrap().recv().unwrap_or(Ok(()))?;
        let _ = self.written.send(String::from_utf8_lossy(text).lines().count());
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A writer behind a gate, its keys, and what passes.
fn gated() -> (LogWriter, SyncSender<io::Result<()>>, Receiver<usize>) {
    let (written, passes) = sync_channel(1_000);
    let (key, open) = sync_channel(1_000);
    let gate = Gate { written, open: Mutex::new(open) };
    let writer = LogWriter::start_into(
        Target::Stream(Box::new(gate)),
        LogFormat::default(),
        Arc::new(Labels::new(Vec::new(), Vec::new())),
    )
    .unwrap();
    (writer, key, passes)
}

fn ledger(writer: &LogWriter) -> std::rc::Rc<Ledger> {
    let outbox = writer.outbox().map(OutboxSetup::start);
    let labels = Arc::new(Labels::new(Vec::new(), Vec::new()));
    let failures = Arc::new(FailureLog::new(labels));
    std::rc::Rc::new(Ledger::new(0, outbox, LeftBehind::default(), failures))
}

fn close_many(ledger: &std::rc::Rc<Ledger>, count: usize) {
    for _ in 0..count {
        let slots = std::rc::Rc::new(Slots::new(ledger, &LabelIds::default()));
        drop(Record::open(std::rc::Rc::clone(ledger), slots, opened("/", Instant::now())));
    }
}

#[test]
fn a_log_that_stands_still_loses_lines_that_are_counted_and_never_blocks() {
    const LINES: usize = 512 * 40;
    let (writer, key, passes) = gated();
    let ledger = ledger(&writer);
    close_many(&ledger, LINES);
    let lost = usize::try_from(writer.dropped()).unwrap();
    assert!(lost > 0 && lost < LINES, "{lost} of {LINES}");
    drop(key);
    drop(ledger);
    assert!(writer.finish(EVER));
    assert_eq!(passes.try_iter().sum::<usize>() + lost, LINES);
}

#[test]
fn a_target_that_refuses_costs_its_lines_and_the_next_ones_are_written() {
    let (writer, key, passes) = gated();
    let ledger = ledger(&writer);
    key.send(Err(io::ErrorKind::StorageFull.into())).unwrap();
    close_many(&ledger, 512);
    key.send(Ok(())).unwrap();
    close_many(&ledger, 512);
    assert_eq!(passes.recv_timeout(EVER), Ok(512));
    assert_eq!(writer.dropped(), 512);
    drop(ledger);
    assert!(writer.finish(EVER));
}

#[test]
fn a_lone_line_is_written_without_waiting_for_company() {
    let file = LogFile::new("lone");
    let hub = hub(AccessLog::File(file.0.clone()));
    local(async {
        let recorder = hub.worker(0).start();
        drop(recorder.open(opened("/v1", Instant::now())));
        let patience = Instant::now() + EVER;
        while file.lines().is_empty() {
            assert!(Instant::now() < patience, "the line never came");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
}

/// One line of a request with this path, in this format.
fn line_of(name: &str, path: &str, format: &LogFormat) -> String {
    let file = LogFile::new(name);
    let hub = hub(AccessLog::File(file.0.clone()));
    hub.reformat_log(format);
    local(async {
        let recorder = hub.worker(0).start();
        let record = recorder.open(opened(path, Instant::now()));
        record.routed(RouteId(0), UpstreamId(0));
        record.status(StatusCode::OK);
        record.sent(2_326);
        record.end(Outcome::Complete);
    });
    assert!(hub.finish(EVER), "lines were left unwritten");
    std::fs::read_to_string(&file.0).unwrap()
}

#[test]
fn chosen_fields_stand_alone_and_in_the_order_that_was_chosen() {
    let fields = vec![LogField::Status, LogField::Route, LogField::BytesSent, LogField::Error];
    let line = line_of("chosen", "/v1/models", &LogFormat::Json(fields));
    assert_eq!(line, "{\"status\":200,\"route\":\"/v1\",\"bytes_sent\":2326,\"error\":null}\n");
}

#[test]
fn the_common_log_format_is_that_of_apache_whatever_the_path_holds() {
    let line = line_of("clf", "/v1/mo\"dels\n\\é", &LogFormat::Clf);
    let (client, rest) = line.split_once(" - - [").unwrap();
    let (date, rest) = rest.split_once("] ").unwrap();
    assert_eq!(client, "127.0.0.1");
    assert!(date.len() == 26 && date.ends_with(" +0000"), "{date}");
    let request = r#""POST /v1/mo\"dels\x0a\\\xc3\xa9 HTTP/1.1" 200 2326"#;
    assert_eq!(rest, format!("{request}\n"));
}

#[test]
fn ids_that_a_client_chose_are_cut_and_cannot_forge_a_line() {
    let lines = logged("named", |recorder| {
        let record = recorder.open(opened("/v1", Instant::now()));
        let id = format!("\"}}\n{{\"forged\":1{}", "x".repeat(10_000));
        record.named(Some(&id), None, Hashed::default());
    });
    assert_eq!(lines.len(), 1);
    assert_eq!(lines[0]["client_request_id"].as_str().unwrap().len(), 128);
    assert!(lines[0].get("forged").is_none() && lines[0]["traceparent"].is_null());
}
