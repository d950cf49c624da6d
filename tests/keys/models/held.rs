//! What it may use: by the body, the path, the query, and in the list.

use loadtest::upstream::Script;
use serde_json::json;

use super::{at, bodiless, clients, ok, proxy, with_body};
use crate::keys::{answering, ask, asked, error, file, key};
use crate::support::fixture::{Fixture, PATIENCE};
use crate::support::message::{Ask, Length};
use crate::support::pairing::CLIENTS;
use crate::support::peers::http1_client::Http1;
use crate::support::refusal::assert_refused;

#[test]
fn it_may_use_its_models_and_no_other() {
    let fixture = proxy(true, ok());
    for speaks in CLIENTS {
        let mut client = speaks.connect(&fixture);
        let before = fixture.upstream.requests();
        for model in ["gpt-4o", "gpt-4o-mini"] {
            let body = format!(r#"{{"messages":[],"model":"{model}"}}"#);
            assert_eq!(client.ask(&with_body("held", body)).body(), b"ok");
        }
        assert_eq!(client.ask(&with_body("free", r#"{"model":"o3"}"#)).body(), b"ok");
        assert_eq!(client.ask(&with_body("free", "{}")).body(), b"ok");
        assert_eq!(fixture.upstream.requests() - before, 4);
        for model in ["o3", "gpt-4", "GPT-4o", ""] {
            let body = format!(r#"{{"messages":[],"model":"{model}"}}"#);
            assert_refused(&client.ask(&with_body("held", body)), 403, "model_not_allowed");
        }
        assert_eq!(fixture.upstream.requests() - before, 4, "none of them went up");
    }
}

#[test]
fn a_request_that_leaves_the_model_to_the_upstream_is_refused_in_words() {
    let fixture = proxy(true, ok());
    let form = "--b\r\nContent-Disposition: form-data; name=\"file\"\r\n\r\nx\r\n--b--\r\n";
    let form = Ask::post("/v1/audio/transcriptions", form)
        .header("authorization", &format!("Bearer {}", key("held")))
        .header("content-type", "multipart/form-data; boundary=b");
    for refused in [
        with_body("held", "{}"),
        with_body("held", r#"{"input":{"model":"gpt-4o"}}"#),
        with_body("held", "{}").method("PUT"),
        with_body("held", "{}").method("PATCH"),
        with_body("held", "{}").method("DELETE"),
        bodiless("POST", "/v1/chat/completions"),
        form,
    ] {
        let answer = asked(&fixture, &refused);
        assert_refused(&answer, 400, "model_missing");
        assert!(error(&answer).2.contains("key may use some models only"), "{answer:?}");
    }
    // Servers read JSON whatever its content-type says: what is none names no model that could be told.
    let text = ask("held").header("content-type", "text/plain");
    let text = text.body(vec!["model=gpt-4o".into()], Length::Known);
    assert_refused(&asked(&fixture, &text), 400, "model_unreadable");
    assert_eq!(fixture.upstream.requests(), 0);
    for passes in [
        bodiless("GET", "/v1/files"),
        bodiless("GET", "/v1/responses/resp_1?stream=true"),
        bodiless("DELETE", "/v1/responses/resp_1"),
        bodiless("GET", "/v1/models/gpt-4o-mini"),
    ] {
        assert_eq!(asked(&fixture, &passes).body(), b"ok", "{passes:?}");
    }
}

/// Gemini's and Azure's paths name a model, and Deepgram's queries: an allowed one in the body is then not read.
#[test]
fn a_model_in_the_path_or_the_query_counts_beside_the_body() {
    let fixture = proxy(true, ok());
    let allowed = || with_body("held", r#"{"model":"gpt-4o"}"#);
    for (path, passes) in [
        ("/v1/openai/deployments/gpt-4o/chat/completions?api-version=1", true),
        ("/v1/openai/deployments/o3/chat/completions?api-version=1", false),
        ("/v1/openai/%64eployments/o3/chat/completions", false),
        ("/v1/beta/models/gpt-4o:generateContent", true),
        ("/v1/beta/models/o3:generateContent", false),
        ("/v1/listen?model=gpt-4o-transcribe", true),
        ("/v1/listen?model=nova-3", false),
    ] {
        let answer = asked(&fixture, &at(path, allowed()));
        if passes {
            assert_eq!(answer.body(), b"ok", "{path}");
        } else {
            assert_refused(&answer, 403, "model_not_allowed");
        }
    }
    let azure = at("/v1/openai/deployments/gpt-4o/chat/completions", with_body("held", "{}"));
    assert_eq!(asked(&fixture, &azure).body(), b"ok", "named where Azure looks");
    assert_refused(
        &asked(&fixture, &bodiless("DELETE", "/v1/models/o3")),
        403,
        "model_not_allowed",
    );
    let climbs = bodiless("DELETE", "/v1/models/gpt-4o/../o3");
    assert_refused(&asked(&fixture, &climbs), 400, "model_unreadable");
    assert_eq!(fixture.upstream.requests(), 4);
}

/// The model stands in the body, and whoever waits for bodies holds what came of them.
#[test]
fn no_more_of_its_bodies_are_waited_for_than_its_limits_let_in() {
    let client = |name: &str, limits: &str| {
        format!(
            "  - name: {name}\n    key: {}\n    models: [gpt-4o*]\n    limits: {{ {limits} }}\n",
            key(name)
        )
    };
    for (limits, name) in [("concurrent: 2", "concurrent"), ("rpm: 2", "rpm")] {
        let clients = format!("clients:\n{}", client("held", limits));
        let fixture =
            crate::keys::proxy(answering(|_| Script::new().answer(200, &[], "ok")), &clients);
        let left = |fixture: &Fixture| {
            fixture.count(&format!("firstbyte_client_balance{{client=\"held\",limit=\"{name}\"}}"))
        };
        let (head, whole) = (r#"{"x":[],"#, with_body("held", r#"{"x":[],"model":"gpt-4o"}"#));
        let mut waiting: Vec<_> = (0..2).map(|_| Http1::new(fixture.connect())).collect();
        for client in &mut waiting {
            client.send_head(&whole);
            client.write(head.as_bytes());
        }
        fixture.wait_until("both are let in", |fixture| left(fixture) == 0);
        let over = asked(&fixture, &whole);
        assert_eq!((over.status, &*error(&over).1), (429, "rate_limit_exceeded"), "{limits}");
        // One asks for what it may not have: that counts nowhere. The other one's body is whole.
        let mut refused = waiting.remove(0);
        refused.write(br#""model":"gpt-44"}"#);
        assert_refused(&refused.answer(&whole), 403, "model_not_allowed");
        fixture.wait_until("it counts no more", |fixture| left(fixture) == 1);
        waiting[0].write(br#""model":"gpt-4o"}"#);
        assert_eq!(waiting[0].answer(&whole).body(), b"ok", "{limits}");
        assert_eq!(asked(&fixture, &whole).body(), b"ok", "{limits}");
    }
}

#[test]
fn the_list_of_a_route_with_models_shows_only_its_own() {
    let entries = ["gpt-4o", "o3", "gpt-4o-mini"].map(|id| json!({ "id": id }));
    let list = json!({ "object": "list", "data": entries }).to_string();
    let upstream = answering(move |_| Script::new().answer(200, &[], list.clone()));
    let text = file(&upstream, 1, &clients()).replacen(
        "    upstream: mock\n",
        "    models: { \"*\": mock }\n",
        1,
    );
    let fixture = Fixture::of_file(upstream, &text);
    assert!(fixture.proxy.wait_ready(PATIENCE), "ready");
    for (name, expected) in
        [("held", &["gpt-4o", "gpt-4o-mini"][..]), ("free", &["gpt-4o", "o3", "gpt-4o-mini"])]
    {
        let list = Ask::get("/v1/models").header("authorization", &format!("Bearer {}", key(name)));
        let answer = asked(&fixture, &list);
        assert_eq!(answer.status, 200, "{answer:?}");
        let ids = answer.json()["data"].as_array().map(|all| {
            all.iter()
                .map(|entry| entry["id"].as_str().expect("an id").to_owned())
                .collect::<Vec<_>>()
        });
        assert_eq!(ids.expect("a list"), expected, "{name}");
    }
}
