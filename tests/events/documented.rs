//! The examples of `docs/events.md`, run.

use std::process::Command;

use super::{Subscriber, file, upstream};
use crate::support::fixture::{Fixture, PATIENCE};
use crate::support::installed::installed;

const PAGE: &str = include_str!("../../docs/events.md");

/// The first block of the page in this language that has this text.
fn block(language: &str, with: &str) -> &'static str {
    let begin = format!("```{language}\n");
    let mut blocks = PAGE.split(begin.as_str()).skip(1).filter_map(|rest| rest.split("```").next());
    blocks.find(|block| block.contains(with)).expect("it is on the page")
}

/// The page's routes, with the mock's.
fn with_routes(clients: &str) -> Fixture {
    let upstream = upstream();
    let own = "  - { path: /events, events: {} }\n";
    let routes = block("yaml", "history").strip_prefix("routes:\n").expect("routes");
    let text = file(&upstream, 1, "{}", clients).replace(own, routes);
    let fixture = Fixture::of_file(upstream, &text);
    assert!(fixture.proxy.wait_ready(PATIENCE), "ready");
    fixture
}

#[test]
fn the_page_s_commands_publish_to_the_page_s_route() {
    let Some(_) = installed("curl") else { return };
    let fixture = with_routes("");
    let mut subscriber = Subscriber::to(&fixture, "/events/news");
    let commands = block("sh", "progress");
    let commands = commands.replace("127.0.0.1:8080", &fixture.address().to_string());
    let ran = Command::new("bash").arg("-ec").arg(&commands).output().expect("bash runs");
    let said = String::from_utf8(ran.stdout).expect("text");
    assert!(ran.status.success(), "{said} {}", String::from_utf8_lossy(&ran.stderr));
    let counts: Vec<_> =
        said.lines().filter_map(|line| line.split("\"published\":").nth(1)).collect();
    assert_eq!(counts, ["1}", "2}"], "{said}");
    assert!(subscriber.event().unwrap().ends_with("event: progress\ndata: {\"progress\": 42}"));
    assert_eq!((subscriber.data(), subscriber.data()), ("one".to_owned(), "two".to_owned()));
}

#[test]
fn the_page_s_clients_have_the_rights_that_it_says() {
    let fixture = with_routes(block("yaml", "clients:"));
    for (key, path, expected) in [
        ("world", "/events/job:1", 200),
        ("world", "/events/news", 200),
        ("world", "/events/other", 403),
        ("hello", "/events/job:1", 403),
        ("none", "/events/job:1", 401),
    ] {
        let lines = format!("authorization: Bearer {key}\r\n");
        let status = Subscriber::with(fixture.address(), path, &lines).status();
        assert_eq!(status, expected, "{key} {path}");
    }
}
