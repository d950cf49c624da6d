//! A store that is damaged, or cannot be written.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use super::{body, chats, file, line, upstream, usage};
use crate::support::fixture::{scratch, sum_of};
use crate::support::program::{Program, program, run};

#[test]
fn a_damaged_store_is_set_aside_and_no_start_begins_anew_until_the_operator_decides() {
    let upstream = upstream();
    let folder = scratch();
    let config = folder.join("firstbyte.yaml");
    fs::write(&config, file(&upstream, &[("a", "budget: { tokens: 100000 }")], ""))
        .expect("a file");
    let store = folder.join("store");
    let program = Program::start(&config);
    chats(program.address, "a", 2);
    program.terminate();
    assert!(program.ended().0.success());
    let database = store.join("usage.redb");
    let backup = fs::read(&database).expect("a file");
    fs::write(&database, &backup[..backup.len() / 2]).expect("a file");
    let start = || run(&["-c", config.to_str().expect("UTF-8")]);
    let (code, _, said) = start();
    assert_eq!(code, Some(1));
    assert!(said.contains("is damaged") && said.contains("usage.redb.damaged-20"), "{said}");
    // As a supervisor does.
    for _ in 0..2 {
        let (code, _, said) = start();
        assert_eq!(code, Some(1));
        assert!(said.contains("was set aside") && said.contains("Copy a backup to"), "{said}");
    }
    fs::write(&database, &backup).expect("a file");
    let program = Program::start(&config);
    chats(program.address, "a", 1);
    assert_eq!(usage(&store), [line("a", 3)]);
}

/// Whether this machine lets a process mount something for itself alone.
fn can_mount() -> bool {
    let tried =
        Command::new("unshare").args(["-rm", "mount", "-t", "tmpfs", "none", "/mnt"]).status();
    let can = tried.is_ok_and(|status| status.success());
    if !can {
        let _ = writeln!(
            std::io::stderr(),
            "\n!! SKIPPED: unshare -rm is not allowed here, so a full disk was NOT tested"
        );
    }
    can
}

#[test]
fn a_full_disk_stops_no_request_and_loses_nothing_once_there_is_room() {
    if !can_mount() {
        return;
    }
    let upstream = upstream();
    let folder = scratch();
    let config = folder.join("firstbyte.yaml");
    fs::write(&config, file(&upstream, &[("a", "budget: { tokens: 100000 }")], ""))
        .expect("a file");
    let store = folder.join("store");
    fs::create_dir(&store).expect("a folder");
    let mount = "mount -t tmpfs -o size=4m none \"$1\" && exec \"$2\" -c \"$3\"";
    let mut command = Command::new("unshare");
    command.args(["-rm", "sh", "-c", mount, "sh"]).arg(&store);
    command.arg(program().get_program()).arg(&config).stdin(Stdio::null());
    let program = Program::spawn(&mut command);
    chats(program.address, "a", 1);
    assert!(program.page("/usage").starts_with("HTTP/1.1 200 "));
    // As only that process sees it.
    let root = format!("/proc/{}/root", program.pid().as_raw_nonzero());
    let inside = Path::new(&root).join(store.strip_prefix("/").expect("absolute"));
    let filler = inside.join("filler");
    let mut full = fs::File::create(&filler).expect("a file");
    while full.write_all(&[1; 4_096]).is_ok() {}
    while full.write_all(&[1]).is_ok() {}
    // Others of its pages are free; sooner or later one is needed that is not.
    program.wait_until("a write fails", |program| {
        chats(program.address, "a", 1);
        program.page("/usage").starts_with("HTTP/1.1 503 ")
    });
    chats(program.address, "a", 3);
    program.wait_until("it shows", |program| {
        sum_of(&program.page("/metrics"), "firstbyte_store_unwritten_seconds") > 0.0
    });
    drop(full);
    fs::remove_file(&filler).expect("a file");
    program.wait_until("it is written again", |program| {
        program.page("/usage").starts_with("HTTP/1.1 200 ")
    });
    let page = program.page("/usage?since=2020-01-01&by=&format=csv");
    let requests: u64 = body(&page)
        .lines()
        .nth(1)
        .expect("a line")
        .split(',')
        .next()
        .expect("a number")
        .parse()
        .expect("a number");
    let served = program.count("firstbyte_client_requests_total{client=\"a\"}");
    assert_eq!(requests, served);
    assert_eq!(program.count("firstbyte_store_unwritten_seconds"), 0);
    program.terminate();
    let (status, said) = program.ended();
    assert!(status.success() && said.contains("goes on counting in memory"), "{said}");
    assert!(said.contains("open again"), "{said}");
}
