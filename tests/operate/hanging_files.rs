//! A file that does not answer fails its reload, its check or its start, and holds up no signal.

use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::Stdio;
use std::time::Instant;

use loadtest::upstream::{Script, Upstream};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::support::fixture::{PATIENCE, scratch};
use crate::support::program::{Guarded, Program, file_for, program, run};

fn upstream() -> Upstream {
    Upstream::builder().script(Script::new().answer(200, &[], "{}")).start().expect("it starts")
}

/// A configuration whose upstream has its key in a file beside it.
fn with_a_key(upstream: &Upstream) -> std::path::PathBuf {
    let file = file_for(upstream);
    let text = fs::read_to_string(&file).expect("a file");
    let text = text.replace("    ca_file:", "    key: file:key\n    ca_file:");
    fs::write(&file, text).expect("it can be written");
    fs::write(file.with_file_name("key"), "sk-one").expect("it can be written");
    file
}

/// In place of whatever is there.
fn make_fifo(path: &Path) {
    let _gone = fs::remove_file(path);
    rustix::fs::mkfifoat(rustix::fs::CWD, path, rustix::fs::Mode::RWXU).expect("a FIFO");
}

#[test]
fn a_reload_whose_key_became_a_fifo_is_refused_and_the_next_one_works_once_it_is_a_file_again() {
    let upstream = upstream();
    let file = with_a_key(&upstream);
    let key = file.with_file_name("key");
    let proxy = Program::start(&file);
    make_fifo(&key);
    let (status, page) = proxy.reload();
    let page: Value = serde_json::from_str(&page).expect("JSON");
    let fault = page["faults"][0].as_str().expect("a fault").to_owned();
    assert_eq!(status, 422, "{page}");
    assert!(fault.contains("upstreams.mock.key: the value names the file "), "{fault}");
    assert!(fault.contains("key, which can't be read: it is a FIFO or a pipe, not a"), "{fault}");
    fs::remove_file(&key).expect("it is there");
    fs::write(&key, "sk-two").expect("it can be written");
    let (status, page) = proxy.reload();
    assert!(status == 200 && page.contains("upstreams.mock.key"), "{page}");
    make_fifo(&key);
    proxy.signal(Signal::HUP);
    proxy.terminate();
    let (status, said) = proxy.ended();
    assert_eq!(status.code(), Some(0), "{said}");
}

#[test]
fn check_says_which_file_is_none() {
    let file = with_a_key(&upstream());
    let path = file.to_str().expect("UTF-8");
    make_fifo(&file.with_file_name("key"));
    let (code, _, said) = run(&["check", "-c", path]);
    assert!(code == Some(1) && said.contains("not a regular file"), "{said}");
    make_fifo(&file);
    let (code, _, said) = run(&["check", "-c", path]);
    assert!(code == Some(1) && said.contains("firstbyte.yaml: can't be read: it is"), "{said}");
}

/// `open` for writing waits for a FIFO's reader: so does a start whose access log it is.
#[test]
fn a_signal_ends_a_start_that_hangs() {
    let upstream = upstream();
    let file = file_for(&upstream);
    let fifo = scratch().join("access.fifo");
    make_fifo(&fifo);
    let text = fs::read_to_string(&file).expect("a file");
    let log = format!("access_log: file:{}", fifo.display());
    fs::write(&file, text.replace("access_log: off", &log)).expect("it can be written");
    let child = program().arg("-c").arg(&file).stderr(Stdio::piped()).spawn();
    let mut child = Guarded(child.expect("it starts"));
    let began = Instant::now();
    while !has_thread(child.0.id(), "start") {
        assert!(began.elapsed() < PATIENCE, "it does not begin to start");
        std::thread::yield_now();
    }
    kill_process(Pid::from_child(&child.0), Signal::TERM).expect("it runs");
    let status = child.0.wait().expect("a child of ours");
    let mut said = String::new();
    let stderr = child.0.stderr.as_mut().expect("it is piped");
    stderr.read_to_string(&mut said).expect("text");
    assert_eq!(status.code(), Some(0), "{said}");
    assert!(said.contains("stopped during startup"), "{said}");
}

/// As the kernel names it: `proc(5)`.
fn has_thread(process: u32, name: &str) -> bool {
    let Ok(tasks) = fs::read_dir(format!("/proc/{process}/task")) else { return false };
    let named = |task: fs::DirEntry| fs::read_to_string(task.path().join("comm")).ok();
    tasks.flatten().filter_map(named).any(|comm| comm.trim_end() == name)
}
