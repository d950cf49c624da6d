//! `GET /v1/models` of a route with `models`: the union of its upstreams' lists, fetched off the path.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use firstbyte::config::{Config, Protocol};
use loadtest::upstream::{Builder, Script, Seen, Upstream};
use serde_json::{Value, json};

use super::{Mixed, with_model};
use crate::support::fixture::KEY;
use crate::support::message::{Answer, Ask};
use crate::support::pairing::CLIENTS;
use crate::support::refusal::assert_refused;

const LIST: &str = "/v1/models";

/// An upstream with these models, each with who has it.
fn having(name: &'static str, ids: &[&str]) -> Builder {
    let entries: Vec<Value> = ids.iter().map(|id| json!({ "id": id, "owned_by": name })).collect();
    let list = json!({ "object": "list", "data": entries }).to_string();
    Upstream::builder().clear().http2().script(Script::new().answer(200, &[], list))
}

/// Fetched again without end.
fn quickly(config: &mut Config) {
    if let Some(models) = &mut config.routes[0].models {
        models.refresh = Duration::from_millis(50);
    }
}

fn ids(answer: &Answer) -> Vec<String> {
    assert_eq!(answer.status, 200, "{answer:?}");
    let list = answer.json();
    assert_eq!(list["object"], "list");
    let id = |entry: &Value| {
        format!(
            "{} {}",
            entry["id"].as_str().unwrap_or("?"),
            entry["owned_by"].as_str().unwrap_or("?")
        )
    };
    list["data"].as_array().into_iter().flatten().map(id).collect()
}

#[test]
fn it_is_what_the_route_leads_to_of_what_the_upstreams_have() {
    let a = having("a", &["gpt-4o", "llama-3", "whisper", "gpt-4o"]);
    let b = having("b", &["llama-3", "gpt-4o", "llama-2"]);
    let mixed = Mixed::of(a, b, Protocol::Http2, |_| {});
    for speaks in CLIENTS {
        let mut client = speaks.connect(&mixed.fixture);
        let mut listed = ids(&client.ask(&Ask::get(LIST)));
        listed.sort();
        assert_eq!(listed, ["gpt-4o a", "llama-2 b", "llama-3 b"]);
        let answer = client.ask(&Ask::get(LIST));
        assert_eq!(answer.header("content-type"), Some("application/json"));
        assert!(answer.header("x-firstbyte-request-id").is_some());
        let head = client.ask(&Ask::get(LIST).method("HEAD"));
        assert_eq!((head.status, head.body().len()), (200, 0));
        assert_eq!(head.header("content-length"), answer.header("content-length"));
    }
    // Asked once each, by us, with our key, and not for any of these requests.
    for log in [mixed.fixture.upstream.log(), mixed.b.log()] {
        assert_eq!(log.requests.len(), 1);
        let seen = &log.requests[0];
        assert_eq!((&*seen.method, &*seen.path), ("GET", LIST));
        assert_eq!(seen.header("authorization"), Some(&*format!("Bearer {KEY}")));
        assert_eq!(seen.header("user-agent"), Some("firstbyte-models"));
    }
    mixed.fixture.wait_until("all are counted", |fixture| {
        fixture.count("firstbyte_requests_total{route=\"/v1\",upstream=\"none\",code=\"200\"}") == 6
    });
    let log = mixed.fixture.access_log();
    assert_eq!(log.len(), 6);
    assert!(log.iter().all(|line| line["route"] == "/v1" && line["outcome"] == "complete"));
}

#[test]
fn a_list_that_no_upstream_gives_is_refused_and_comes_with_the_first_that_does() {
    let well = Arc::new(AtomicBool::new(false));
    let is_well = Arc::clone(&well);
    let a = Upstream::builder().clear().http2().respond(move |_: &Seen| {
        if is_well.load(Ordering::Relaxed) {
            Script::new().answer(200, &[], r#"{"data":[{"id":"gpt-4o","owned_by":"a"}]}"#)
        } else {
            Script::new().answer(500, &[], "{}")
        }
    });
    let b = Upstream::builder().clear().http2().script(Script::new().answer(200, &[], "<html>"));
    let mixed = Mixed::of(a, b, Protocol::Http2, quickly);
    assert_refused(&mixed.ask(&Ask::get(LIST)), 503, "models_unknown");
    well.store(true, Ordering::Relaxed);
    mixed.fixture.wait_until("the list is there", |_| mixed.ask(&Ask::get(LIST)).status == 200);
    assert_eq!(ids(&mixed.ask(&Ask::get(LIST))), ["gpt-4o a"]);
    // An upstream that says no more is believed for twelve times the interval, and no longer.
    well.store(false, Ordering::Relaxed);
    let asked = mixed.fixture.upstream.requests();
    mixed.fixture.wait_until("it failed", |fixture| fixture.upstream.requests() > asked + 1);
    mixed.fixture.wait_until("it is too old", |_| mixed.ask(&Ask::get(LIST)).status == 503);
}

#[test]
fn a_list_that_is_too_long_is_none() {
    let entry = json!({ "id": "gpt-4o", "owned_by": "x".repeat(3 << 20) });
    let long = json!({ "data": [entry] }).to_string();
    let a = Upstream::builder().clear().http2().script(Script::new().answer(200, &[], long));
    let mixed = Mixed::of(a, having("b", &["llama-3"]), Protocol::Http2, |_| {});
    assert_eq!(ids(&mixed.ask(&Ask::get(LIST))), ["llama-3 b"]);
}

/// An upstream that never says what it has holds nobody up for longer than a moment.
#[test]
fn an_upstream_that_does_not_answer_is_not_waited_for() {
    let a = Upstream::builder().clear().http2().respond(|seen: &Seen| {
        if seen.method == "GET" {
            Script::new().early().stall()
        } else {
            Script::new().answer(200, &[], "a")
        }
    });
    let mixed = Mixed::of(a, having("b", &["llama-3"]), Protocol::Http2, |_| {});
    let begun = Instant::now();
    assert_eq!(ids(&mixed.ask(&Ask::get(LIST))), ["llama-3 b"]);
    // Two seconds are waited; a fetch itself may take ten.
    assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
    assert_eq!(mixed.answers(&with_model("gpt-4o")), "a");
}
