//! A web page spends nobody's key unless the operator lets it, and then its browser is told so.

use std::net::SocketAddr;

use firstbyte::config::{Allowed, Config};
use loadtest::upstream::{Builder, Script, Upstream};
use serde_json::Value;

use crate::operate::reload::{applied, file, ready};
use crate::support::fixture::Fixture;
use crate::support::message::{Answer, Ask};
use crate::support::peers::http1_client::Http1;
use crate::support::peers::http2_client::Http2;

/// What the upstream answers to whoever asks.
fn upstream() -> Builder {
    Upstream::builder().script(Script::new().answer(200, &[("x-request-id", "req-1")], "{}"))
}

fn strict(config: &mut Config) {
    config.allowed_hosts = Allowed::default();
}

fn chat(config: &mut Config) {
    strict(config);
    config.allowed_origins = Allowed { any: false, names: vec!["https://chat.example".into()] };
}

fn named(names: &[&str]) -> Allowed {
    Allowed { any: false, names: names.iter().map(|name| (*name).to_owned()).collect() }
}

/// One answer to these lines, which hold the `host`.
fn asked(fixture: &Fixture, lines: &str) -> (u16, Value) {
    let mut client = Http1::new(fixture.connect());
    let body = r#"{"model":"x"}"#;
    let length = body.len();
    let head = format!("POST /v1/chat/completions HTTP/1.1\r\n{lines}content-length: {length}\r\n");
    client.write(format!("{head}\r\n{body}").as_bytes());
    let answer = client.answer(&Ask::post("/v1/chat/completions", body));
    (answer.status, serde_json::from_slice(&answer.body()).unwrap_or_default())
}

#[test]
fn a_page_of_another_origin_reaches_no_upstream() {
    let fixture = Fixture::configured(upstream(), strict);
    for (lines, code) in [
        (
            "host: localhost\r\norigin: http://evil.example\r\ncontent-type: text/plain\r\n",
            "foreign_origin",
        ),
        ("host: localhost\r\norigin: null\r\n", "foreign_origin"),
        ("host: localhost\r\nsec-fetch-site: cross-site\r\n", "foreign_origin"),
        ("host: evil.example\r\n", "foreign_host"),
        ("host: evil.example\r\norigin: http://evil.example\r\n", "foreign_host"),
    ] {
        let (status, page) = asked(&fixture, lines);
        assert_eq!((status, &page["error"]["code"]), (403, &Value::from(code)), "{lines:?}");
        let key = code.replace("foreign_", "allowed_") + "s";
        assert!(page["error"]["message"].as_str().unwrap().contains(&key), "{page}");
    }
    let mut client = Http2::connect(fixture.address());
    let foreign = Ask::post("/v1/chat/completions", "{}").header("origin", "http://evil.example");
    assert_eq!(client.ask(&foreign).status, 403);
    let preflight = Ask::get("/v1/chat/completions")
        .method("OPTIONS")
        .header("origin", "http://evil.example")
        .header("access-control-request-method", "POST");
    assert_eq!(client.ask(&preflight).status, 403);
    assert_eq!(fixture.upstream.log().requests.len(), 0, "nobody paid");
    assert_eq!(client.ask(&Ask::post("/v1/chat/completions", "{}")).status, 200);
    assert_eq!(asked(&fixture, "host: localhost\r\norigin: http://localhost\r\n").0, 200);
    assert_eq!(asked(&fixture, &format!("host: {}\r\n", fixture.address())).0, 200);
}

#[test]
fn a_name_that_is_allowed_leads_to_loopback_too() {
    let fixture = Fixture::configured(upstream(), |config| {
        config.allowed_hosts = named(&["api.example"]);
    });
    assert_eq!(asked(&fixture, "host: api.example:8080\r\n").0, 200);
    assert_eq!(asked(&fixture, "host: other.example\r\n").0, 403);
}

#[test]
fn a_listener_on_all_addresses_takes_any_name() {
    let fixture = Fixture::configured(upstream(), |config| {
        strict(config);
        config.listen = vec![SocketAddr::from(([0, 0, 0, 0], 0)).into()];
    });
    assert_eq!(asked(&fixture, "host: firstbyte.default.svc\r\n").0, 200);
    let foreign = "host: firstbyte.default.svc\r\norigin: http://evil.example\r\n";
    assert_eq!(asked(&fixture, foreign).0, 403);
}

fn from_chat(ask: Ask) -> Ask {
    ask.header("origin", "https://chat.example").header("sec-fetch-site", "cross-site")
}

fn assert_seen_by_chat(answer: &Answer) {
    assert_eq!(answer.header("access-control-allow-origin"), Some("https://chat.example"));
    assert_eq!(answer.header("access-control-expose-headers"), Some("*"));
    assert_eq!(answer.header("vary"), Some("origin"));
}

#[test]
fn an_origin_that_is_allowed_is_let_in_and_its_browser_told() {
    let fixture = Fixture::configured(upstream(), chat);
    let preflight = from_chat(Ask::get("/v1/chat/completions").method("OPTIONS"))
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "authorization,content-type");
    let mut http1 = Http1::new(fixture.connect());
    let mut http2 = Http2::connect(fixture.address());
    for told in [http1.ask(&preflight), http2.ask(&preflight)] {
        assert_eq!(told.status, 204);
        assert_eq!(told.header("access-control-allow-origin"), Some("https://chat.example"));
        assert!(told.header("access-control-allow-methods").unwrap().contains("POST"));
        let names = told.header("access-control-allow-headers");
        assert_eq!(names, Some("authorization,content-type"));
        assert_eq!(told.header("access-control-max-age"), Some("600"));
    }
    assert_eq!(fixture.upstream.log().requests.len(), 0, "the proxy answers for all upstreams");
    let post = from_chat(Ask::post("/v1/chat/completions", "{}"));
    for answer in [http1.ask(&post), http2.ask(&post)] {
        assert_eq!((answer.status, answer.header("x-request-id")), (200, Some("req-1")));
        assert_seen_by_chat(&answer);
    }
    let lost = http1.ask(&from_chat(Ask::get("/nowhere")));
    assert_eq!(lost.status, 404);
    assert_seen_by_chat(&lost);
    let program = http1.ask(&Ask::get("/v1/models"));
    assert_eq!(program.header("access-control-allow-origin"), None, "nobody asked");
}

#[test]
fn a_reload_lets_an_origin_in() {
    let upstream = upstream().clear().http2().start().expect("it starts");
    let before = file(&[("a", &upstream, "")]);
    let after = format!("{before}allowed_origins: https://chat.example\n");
    let fixture = ready(upstream, &before);
    let mut client = Http1::new(fixture.connect());
    assert_eq!(client.ask(&from_chat(Ask::get("/a"))).status, 403);
    fixture.write_file("firstbyte.yaml", &after);
    assert_eq!(applied(&fixture)["changes"], serde_json::json!(["allowed_origins"]));
    let mut client = Http1::new(fixture.connect());
    assert_eq!(client.ask(&from_chat(Ask::get("/a"))).status, 200);
}
