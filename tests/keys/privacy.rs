//! `privacy`: whom a header names is in the log as a hash that only the operator can make, and nowhere else.

use std::io::Write;
use std::process::{Command, Stdio};

use super::{answering, chat, file, proxy};
use crate::support::fixture::{Fixture, PATIENCE};
use crate::support::installed::installed;
use crate::support::message::Ask;
use crate::support::pairing::CLIENTS;

use loadtest::upstream::{Script, Seen};

const USER: &str = "alice-canary@example.org";
const SALT: &str = "0123456789-salt-canary";

fn hiding(headers: &str, salt: &str) -> String {
    format!("privacy:\n  hash_headers: [{headers}]\n  salt: {salt}\n")
}

fn ask() -> Ask {
    Ask::post("/v1/chat/completions", "{}").header("x-user-id", USER)
}

/// As the documentation says that an operator does it.
fn by_openssl(salt: &str, value: &str) -> Option<String> {
    let mut child = Command::new(installed("openssl")?)
        .args(["dgst", "-sha256", "-hmac", salt])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("openssl runs");
    child.stdin.take().expect("a pipe").write_all(value.as_bytes()).expect("it reads");
    let output = String::from_utf8(child.wait_with_output().expect("it ends").stdout);
    let output = output.expect("text");
    Some(output.rsplit(' ').next().expect("a digest")[..32].to_owned())
}

#[test]
fn a_user_is_logged_as_a_hash_that_openssl_makes_too_and_forwarded_unchanged() {
    for speaks in CLIENTS {
        let upstream = answering(|_| chat(3, 2));
        let fixture = proxy(upstream, &hiding("X-User-Id, x-team", SALT));
        assert_eq!(speaks.connect(&fixture).ask(&ask()).status, 200);
        assert_eq!(fixture.upstream.log().requests[0].header("x-user-id"), Some(USER));
        let (_, metrics) = fixture.admin("/metrics");
        assert!(!metrics.contains("canary"), "{metrics}");
        let line = &fixture.access_log()[0];
        let text = line.to_string();
        assert!(!text.contains("canary") && !text.contains("example.org"), "{text}");
        let hashed = line["hashed"].as_object().expect("an object");
        assert_eq!(hashed.keys().collect::<Vec<_>>(), ["x-user-id"], "of those that were sent");
        let hash = hashed["x-user-id"].as_str().expect("text");
        assert!(hash.len() == 32 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()), "{hash}");
        if let Some(expected) = by_openssl(SALT, USER) {
            assert_eq!(hash, expected);
        }
    }
}

#[test]
fn an_id_that_the_log_tells_otherwise_is_there_as_a_hash_only() {
    let named = |fixture: Fixture| {
        let ask = ask().header("x-request-id", "id-canary").header("traceparent", "trace-canary");
        assert_eq!(super::asked(&fixture, &ask).status, 200);
        fixture.access_log().remove(0)
    };
    let shown = named(proxy(answering(|_| chat(3, 2)), ""));
    assert_eq!((&shown["client_request_id"], &shown["hashed"]), (&"id-canary".into(), &().into()));
    let line = named(proxy(answering(|_| chat(3, 2)), &hiding("x-request-id, traceparent", SALT)));
    assert!(line["client_request_id"].is_null() && line["traceparent"].is_null(), "{line}");
    assert!(
        line["hashed"]["x-request-id"].is_string() && line["hashed"]["traceparent"].is_string()
    );
    assert!(!line.to_string().contains("canary"), "{line}");
}

/// Some upstreams send back the id that the client sent.
#[test]
fn an_id_that_the_upstream_echoes_is_not_told_where_it_is_hidden() {
    let echo = |seen: &Seen| {
        let id = seen.header("x-request-id").expect("it went up").to_owned();
        Script::new().answer(200, &[("x-request-id", &id)], "{}")
    };
    for (privacy, is_told) in [("x-user-id", true), ("X-Request-Id", false)] {
        let fixture = proxy(answering(echo), &hiding(privacy, SALT));
        let answer = super::asked(&fixture, &ask().header("x-request-id", "id-canary"));
        assert_eq!(answer.header("x-request-id"), Some("id-canary"), "the client gets it");
        let line = fixture.access_log().remove(0);
        assert_eq!(line["upstream_request_id"] == "id-canary", is_told, "{line}");
        assert_eq!(line.to_string().contains("id-canary"), is_told, "{line}");
    }
}

#[test]
fn a_reload_changes_the_salt_and_shows_neither() {
    let upstream = answering(|_| chat(3, 2));
    let text = |salt: &str| file(&upstream, 1, &hiding("x-user-id", salt));
    let (before, after) = (text(SALT), text("another-salt-canary"));
    let fixture = Fixture::of_file(upstream, &before);
    assert!(fixture.proxy.wait_ready(PATIENCE), "ready");
    assert_eq!(super::asked(&fixture, &ask()).status, 200);
    fixture.write_file("firstbyte.yaml", &after);
    let (status, report) = fixture.ask_admin("POST", "/reload");
    assert_eq!(status, 200, "{report}");
    assert!(report.contains("\"privacy\"") && !report.contains("canary"), "{report}");
    assert_eq!(super::asked(&fixture, &ask()).status, 200);
    let log = fixture.access_log();
    assert_ne!(log[0]["hashed"]["x-user-id"], log[1]["hashed"]["x-user-id"]);
}
