//! The example of `docs/redis.md`, run.

use std::fs;

use super::{asked, client, server, shared};
use crate::keys::{answering, chat, file};
use crate::support::fixture::scratch;
use crate::support::program::{Program, program};

#[test]
fn the_example_of_the_page_shares_limits() {
    let page = include_str!("../../docs/redis.md");
    let (_, rest) = page.split_once("```yaml\n").expect("an example");
    let (example, _) = rest.split_once("```").expect("its end");
    let Some(server) = server(&["requirepass", "a-password"]) else { return };
    let place = format!("redis://{}", server.address);
    let example = example.replace("redis://redis.internal:6379", &place);
    let upstream = answering(|_| chat(1, 1));
    let text = format!("{example}clients:\n{}", client("a", "limits: { rpm: 10 }"));
    let path = scratch().join("firstbyte.yaml");
    fs::write(&path, file(&upstream, 1, &text)).expect("the file can be written");
    let mut command = program();
    let started = Program::spawn(command.env("REDIS_PASSWORD", "a-password").arg("-c").arg(&path));
    shared(&started);
    assert_eq!(asked(&started, "a").status, 200);
}
