//! Keys of clients, and whom they ask for, are in nothing that the process says, whatever becomes of the request; and
//! nothing of them goes upstream.

use std::io::{Read, Write};

use loadtest::upstream::Upstream;

use super::secrets::{THEIRS, assert_answer_clean, assert_clean};
use crate::keys::chat;
use crate::support::message::Ask;
use crate::support::peers::http1_client::Http1;
use crate::support::peers::http2_client::Http2;
use crate::support::program::run;
use crate::support::talking_program::TalkingProgram;

/// Each with `canary` in it, as all that must not be seen.
fn key(name: &str) -> String {
    format!("fb-{name}-canary-0123456789")
}

/// Clients whom each refusal meets, and one whom none does.
fn clients(format: &str) -> String {
    let one = |name: &str, rest: &str| format!("  - name: {name}\n    key: {}\n{rest}", key(name));
    // The file ends with its routes: this is one more.
    format!(
        "  - path: /narrow\n    upstream: mock\naccess_log_format: {format}\nclients:\n{}{}{}{}{}{}\
         client_groups:\n  all:\n    budget: {{ usd: 100, per: total }}\n\
         prices:\n  - model: \"*\"\n    input: 1\n    output: 1\n\
         privacy:\n  hash_headers: [x-user-id]\n  salt: salt-canary-0123456789\n",
        one("good", "    group: all\n"),
        one("off", "    disabled: true\n"),
        one("old", "    expires: 2020-01-01\n"),
        one("narrow", "    routes: [/narrow]\n"),
        one("busy", "    limits: { rpm: 1 }\n"),
        one("broke", "    budget: { tokens: 1, per: total }\n"),
    )
}

fn slots(name: &str) -> Vec<Ask> {
    let bare = Ask::post("/v1/chat/completions?api_key=query-canary", "{}")
        .header("x-user-id", "alice-canary");
    let slots = [("authorization", "Bearer "), ("x-api-key", ""), ("api-key", "")];
    slots.map(|(slot, before)| bare.clone().header(slot, &format!("{before}{}", key(name)))).into()
}

fn admin(program: &TalkingProgram, head: &str) -> String {
    let mut admin = program.connect_admin();
    write!(
        admin,
        "{head} HTTP/1.1\r\nhost: localhost\r\nx-firstbyte-admin: 1\r\nconnection: close\r\n\r\n"
    )
    .expect("the admin listener reads");
    let mut text = String::new();
    admin.read_to_string(&mut text).expect("an answer");
    text
}

fn statuses(program: &TalkingProgram, name: &str) -> Vec<u16> {
    let mut http2 = Http2::connect(program.address());
    let mut all = Vec::new();
    for ask in slots(name) {
        for answer in [Http1::new(program.connect()).ask(&ask), http2.ask(&ask)] {
            assert_answer_clean(&answer);
            all.push(answer.status);
        }
    }
    all
}

/// All that the process has to say of a configuration that it is given, good and bad.
fn reloads(program: &TalkingProgram) {
    let good = std::fs::read_to_string(&program.config).expect("the configuration");
    let digest = "88d4266fd4e6338d13b845fcf289579d209c897823b9217da3e161936f031589";
    for (from, to, works) in [
        (key("good"), format!("{}-2", key("good")), true),
        (format!("key: {}", key("old")), format!("key_sha256: {digest}"), true),
        // Keys in places that are not theirs, and keys that are none.
        (format!("key: {}", key("good")), format!("key_sha256: {}", key("good")), false),
        (format!("key: {}", key("good")), format!("kye: {}", key("good")), false),
        (format!("key: {}", key("good")), format!("key: [[{}]]", key("good")), false),
        (format!("key: {}", key("good")), format!("key: 'a {}'", key("good")), false),
        (format!("key: {}", key("good")), format!("certificate: {}", key("good")), false),
        (key("off"), key("good"), false),
        ("salt-canary-0123456789".into(), "salt-canary".into(), false),
    ] {
        assert!(good.contains(&from), "{from}");
        std::fs::write(&program.config, good.replace(&from, &to)).expect("a file");
        let report = admin(program, "POST /reload");
        assert_eq!(report.starts_with("HTTP/1.1 200 "), works, "{from} {to}: {report}");
        assert_clean(&report, "the report of a reload");
        let (code, out, said) = run(&["check", "-c", program.config.to_str().expect("text")]);
        // The upstream's own key is a variable that is not set here.
        assert_eq!(code, Some(1), "{out}{said}");
        assert_clean(&format!("{out}{said}"), "what `check` says");
    }
    std::fs::write(&program.config, good).expect("a file");
}

fn nothing_is_said(format: &str) {
    let upstream = Upstream::builder().clear().http1().respond(|_| chat(3, 2));
    let upstream = upstream.start().expect("the mock upstream starts");
    let program = TalkingProgram::configured(&upstream, &clients(format));
    for (name, expected) in [
        ("good", [200; 6]),
        ("unknown", [401; 6]),
        ("off", [401; 6]),
        ("old", [401; 6]),
        ("narrow", [403; 6]),
        ("busy", [200, 429, 429, 429, 429, 429]),
    ] {
        assert_eq!(statuses(&program, name), expected, "{name}");
    }
    // How much of it is let in before it is charged is not this test's.
    assert_eq!(statuses(&program, "broke").last(), Some(&429));
    let mut odd = program.connect();
    write!(
        odd,
        "POST /v1/x HTTP/1.1\r\nhost: a\r\nx-api-key: {}\r\n: {THEIRS}\r\n\r\n",
        key("good")
    )
    .expect("the proxy reads");
    let mut refused = String::new();
    odd.read_to_string(&mut refused).expect("an answer");
    assert!(refused.starts_with("HTTP/1.1 400 "), "{refused}");
    assert_clean(&refused, "a refusal");
    for page in ["/metrics", "/stats", "/readyz", "/clients", "/clients/good", "/clients/canary"] {
        // A page that is not there names what was asked for: that is no key.
        let text = admin(&program, &format!("GET {page}")).replace("/clients/canary", "");
        assert_clean(&text.replace("\"canary\"", ""), page);
    }
    reloads(&program);
    assert_eq!(statuses(&program, "good").len(), 6);
    for seen in upstream.log().requests {
        let head = format!("{} {:?} {:?}", seen.path, seen.headers, seen.trailers);
        // What names the user goes upstream as it came.
        let head = head.replace("alice-canary", "");
        let ours = crate::support::fixture::KEY;
        assert_clean(&head.replace(ours, ""), "what the upstream is sent");
    }
    let (stdout, stderr) = program.terminate();
    assert!(stdout.lines().count() >= 40, "the access log: {stdout}");
    assert_clean(&stdout, "the access log");
    assert!(format == "clf" || stdout.contains("\"hashed\":{\"x-user-id\":\""), "{stdout}");
    assert_clean(&stderr, "stderr");
}

#[test]
fn no_key_of_a_client_and_no_user_is_in_anything_that_is_said() {
    nothing_is_said("json");
}

#[test]
fn nor_in_a_log_of_the_common_format() {
    nothing_is_said("clf");
}
