//! `docs/usage.md`: its configuration is started, its command run, and its table what that prints.

use std::fs;

use super::{chats, key, upstream};
use crate::support::fixture::scratch;
use crate::support::program::{Program, program};

const PAGE: &str = include_str!("../../docs/usage.md");

/// The block that begins so, without its fences.
fn block(begin: &str) -> &'static str {
    let (_, after) = PAGE.split_once(begin).expect("the page has it");
    after.split_once("```").expect("it ends").0
}

#[test]
fn the_page_s_example_prints_the_page_s_table() {
    let upstream = upstream();
    let folder = scratch();
    let store = folder.join("store");
    let config = block("```yaml\n")
        .replace("127.0.0.1:8080", "127.0.0.1:0")
        .replace("127.0.0.1:9090", "127.0.0.1:0")
        .replace("/var/lib/firstbyte", store.to_str().expect("UTF-8"))
        .replace(
            "https://api.openai.com/v1\n",
            &format!("{}/v1\n    protocol: http2\n", upstream.url()),
        );
    let file = folder.join("firstbyte.yaml");
    fs::write(&file, config).expect("a file");
    let mut command = program();
    command.arg("-c").arg(&file).env("OPENAI_API_KEY", "sk");
    command.env("APP_A_KEY", key("app-a")).env("APP_B_KEY", key("app-b"));
    let proxy = Program::spawn(&mut command);
    chats(proxy.address, "app-a", 3);
    chats(proxy.address, "app-b", 1);
    let (_, line) = PAGE.split_once("    firstbyte usage ").expect("the page has it");
    let line = line
        .lines()
        .next()
        .expect("a line")
        .replace("/var/lib/firstbyte", store.to_str().expect("UTF-8"));
    // The page is of a month that is over.
    let line = line.replace("--until 2026-11-30", "--until 9999-12-31");
    let printed = program().arg("usage").args(line.split(' ')).output().expect("it runs");
    assert!(printed.status.success(), "{printed:?}");
    let table = block("--by client\n\n```\n");
    assert_eq!(String::from_utf8(printed.stdout).expect("UTF-8"), table);
    proxy.terminate();
    assert!(proxy.ended().0.success());
    let offline = program().arg("usage").args(line.split(' ')).output().expect("it runs");
    assert_eq!(String::from_utf8(offline.stdout).expect("UTF-8"), table);
}
