//! A process ends, or is ended, and another one begins.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use rustix::process::Signal;

use super::{body, chat, chats, file, line, upstream, usage};
use crate::support::fixture::scratch;
use crate::support::program::Program;

fn configured(text: &str) -> (PathBuf, PathBuf) {
    let folder = scratch();
    let config = folder.join("firstbyte.yaml");
    fs::write(&config, text).expect("a file");
    (config, folder.join("store"))
}

/// As CSV by client, of a proxy that runs.
fn asked(program: &Program) -> Vec<String> {
    let page = program.page("/usage?since=2020-01-01&by=client&format=csv");
    assert!(page.starts_with("HTTP/1.1 200 "), "{page}");
    body(&page).lines().skip(1).map(str::to_owned).collect()
}

#[test]
fn usage_and_balances_are_there_after_a_restart() {
    let upstream = upstream();
    let clients = [("a", "budget: { tokens: 550, per: total }"), ("b", "limits: { rpm: 1000 }")];
    let (config, store) = configured(&file(&upstream, &clients, ""));
    let first = Program::start(&config);
    chats(first.address, "a", 3);
    chats(first.address, "b", 1);
    let (three, one) = (line("a", 3), line("b", 1));
    assert_eq!(asked(&first), [three.clone(), one.clone()], "what is charged shows at once");
    assert_eq!(usage(&store), [three.clone(), one.clone()], "the command asks the one that runs");
    first.terminate();
    assert!(first.ended().0.success());
    assert_eq!(usage(&store), [three.clone(), one.clone()], "and reads the folder where none does");
    let second = Program::start(&config);
    assert_eq!(asked(&second), [three, one.clone()]);
    chats(second.address, "a", 2);
    let refused = chat(second.address, "a");
    assert!(
        refused.starts_with("HTTP/1.1 429 ") && refused.contains("insufficient_quota"),
        "{refused}"
    );
    assert_eq!(asked(&second), [line("a", 5), one]);
}

#[test]
fn a_restart_is_no_second_burst() {
    let upstream = upstream();
    let (config, _) = configured(&file(&upstream, &[("a", "limits: { rpm: 4 }")], ""));
    let first = Program::start(&config);
    chats(first.address, "a", 4);
    first.terminate();
    assert!(first.ended().0.success());
    let second = Program::start(&config);
    let refused = chat(second.address, "a");
    assert!(refused.starts_with("HTTP/1.1 429 ") && refused.contains("rpm"), "{refused}");
}

/// The time is what is promised, so it is waited for; twice, since others use this machine's cores.
#[test]
fn a_process_that_is_killed_loses_what_was_charged_in_the_last_second_at_most() {
    let upstream = upstream();
    let (config, store) = configured(&file(&upstream, &[("a", "budget: { tokens: 100000 }")], ""));
    for round in 1..=2 {
        let program = Program::start(&config);
        chats(program.address, "a", 5);
        std::thread::park_timeout(Duration::from_secs(2));
        program.signal(Signal::KILL);
        assert!(!program.ended().0.success());
        assert_eq!(usage(&store), [line("a", round * 5)]);
    }
}

#[test]
fn a_second_process_on_the_same_folder_is_refused_and_the_first_goes_on() {
    let upstream = upstream();
    let (config, store) = configured(&file(&upstream, &[("a", "budget: { tokens: 1000 }")], ""));
    let first = Program::start(&config);
    let (code, _, said) = crate::support::program::run(&["-c", config.to_str().expect("UTF-8")]);
    assert_eq!(code, Some(1));
    assert!(
        said.contains("another process uses") && said.contains("a folder of its own"),
        "{said}"
    );
    chats(first.address, "a", 1);
    assert_eq!(usage(&store), [line("a", 1)]);
}

#[test]
fn a_wrong_question_is_told_so_and_a_store_that_is_not_there_too() {
    let upstream = upstream();
    let (config, store) = configured(&file(&upstream, &[("a", "disabled: false")], ""));
    let program = Program::start(&config);
    let page = program.page("/usage?since=yesterday");
    assert!(page.starts_with("HTTP/1.1 400 ") && page.contains("2026-11-01"), "{page}");
    let page = program.page("/usage");
    assert!(page.contains("content-type: application/json"), "{page}");
    assert_eq!(program.count("firstbyte_store_unwritten_seconds"), 0);
    let run = |arguments: &[&str]| crate::support::program::run(arguments);
    let store = store.to_str().expect("UTF-8");
    for wrong in [
        &["--by", "user"][..],
        &["--since", "2026-13-01"],
        &["--until", "2000-01-01", "--since", "2001-01-01"],
    ] {
        let (code, out, said) = run(&[&["usage", "--store", store], wrong].concat());
        assert_eq!((code, out.as_str()), (Some(2), ""), "{wrong:?}: {said}");
    }
    let (code, _, said) = run(&["usage", "--store", "/nowhere"]);
    assert!(code == Some(1) && said.contains("there is none in /nowhere"), "{said}");
    let text = fs::read_to_string(&config).expect("a file").replace("store: store\n", "");
    fs::write(&config, text).expect("a file");
    let (code, _, said) = run(&["usage", "-c", config.to_str().expect("UTF-8")]);
    assert!(code == Some(1) && said.contains("`store` is not set"), "{said}");
    let (status, faults) = program.reload();
    assert!(status == 422 && faults.contains("store: can't be changed by a reload"), "{faults}");
    let without = Program::start(&config);
    assert!(without.page("/usage").starts_with("HTTP/1.1 404 "));
}
