//! Who may ask: known by a key in any of three places, by nothing else, and told why not.

use super::{answering, ask, asked, chat, key, proxy};
use crate::support::message::Ask;
use crate::support::pairing::CLIENTS;
use crate::support::refusal::assert_refused;

fn clients() -> String {
    format!(
        "clients:\n  - name: app-a\n    key: {}\n  - name: hashed\n    key_sha256: {}\n\
         \x20 - name: off\n    key: {}\n    disabled: true\n\
         \x20 - name: old\n    key: {}\n    expires: 2020-01-01\n\
         \x20 - name: narrow\n    key: {}\n    routes: [/other]\n",
        key("app-a"),
        // Of `fb-hashed-canary-0123456789`.
        "SHA256",
        key("off"),
        key("old"),
        key("narrow"),
    )
    .replace("SHA256", &sha256(&key("hashed")))
}

fn sha256(text: &str) -> String {
    let mut child = std::process::Command::new("sha256sum")
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("coreutils");
    std::io::Write::write_all(&mut child.stdin.take().expect("a pipe"), text.as_bytes())
        .expect("it reads");
    let output = child.wait_with_output().expect("it ends").stdout;
    String::from_utf8(output).expect("text")[..64].to_owned()
}

#[test]
fn a_key_is_taken_from_any_of_three_headers_and_none_of_it_goes_upstream() {
    let fixture = proxy(answering(|_| chat(3, 2)), &clients());
    let bare = Ask::post("/v1/chat/completions", "{}");
    for (name, value) in [
        ("authorization", format!("Bearer {}", key("app-a"))),
        ("authorization", format!("bearer  {} ", key("hashed"))),
        ("x-api-key", key("app-a")),
        ("api-key", key("hashed")),
    ] {
        for speaks in CLIENTS {
            let answer = speaks.connect(&fixture).ask(&bare.clone().header(name, &value));
            assert_eq!(answer.status, 200, "{name}: {value} {answer:?}");
        }
    }
    for seen in fixture.upstream.log().requests {
        assert_eq!(seen.header("authorization"), Some("Bearer sk-ours-canary"));
        let text = format!("{:?}", seen.headers);
        assert!(!text.contains("fb-"), "{text}");
    }
}

#[test]
fn who_is_not_known_is_told_what_is_wrong_and_no_upstream_is_asked() {
    let fixture = proxy(answering(|_| chat(3, 2)), &clients());
    let bare = Ask::post("/v1/chat/completions", "{}");
    for (ask, says) in [
        (bare.clone(), "has no API key"),
        (bare.clone().header("authorization", "Basic YTpi"), "has no API key"),
        (bare.clone().header("authorization", "Bearer "), "has no API key"),
        (bare.clone().header("authorization", "Bearer sk-wrong"), "is not known"),
        (bare.clone().header("x-api-key", "app-a"), "is not known"),
        (ask("off"), "is disabled"),
        (ask("old"), "has expired"),
    ] {
        for speaks in CLIENTS {
            let answer = speaks.connect(&fixture).ask(&ask);
            assert_refused(&answer, 401, "invalid_api_key");
            assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
            let body = String::from_utf8(answer.body()).expect("text");
            assert!(body.contains(says) && !body.contains("canary"), "{body}");
        }
    }
    // Which paths there are is told to nobody who is not known.
    let nowhere = Ask::get("/nowhere");
    assert_refused(&asked(&fixture, &nowhere), 401, "invalid_api_key");
    assert_eq!(fixture.upstream.requests(), 0);
}

#[test]
fn a_client_reaches_its_own_routes_and_no_others() {
    let fixture = proxy(answering(|_| chat(3, 2)), &clients());
    assert_refused(&asked(&fixture, &ask("narrow")), 403, "route_not_allowed");
    let other = Ask { target: "/other/chat".into(), ..ask("narrow") };
    assert_eq!(asked(&fixture, &other).status, 200);
    let log = fixture.access_log();
    let of = |status: u64| log.iter().find(|line| line["status"] == status).expect("a line");
    assert_eq!((&of(403)["client_name"], &of(403)["route"]), (&"narrow".into(), &"/v1".into()));
    assert_eq!(of(200)["client_name"], "narrow");
}

#[test]
fn without_clients_everybody_may_ask_and_the_log_has_no_name() {
    let fixture = proxy(answering(|_| chat(3, 2)), "");
    assert_eq!(asked(&fixture, &Ask::post("/v1/chat/completions", "{}")).status, 200);
    let (_, page) = fixture.admin("/metrics");
    assert!(!page.contains("firstbyte_client_requests_total"), "{page}");
    let log = fixture.access_log();
    assert!(log[0]["client_name"].is_null() && log[0]["usage"].is_null(), "{log:?}");
}
