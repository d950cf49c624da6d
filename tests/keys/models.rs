//! A client that may use some models only: it gets no other one, however its request names it.

use std::io::Read;
use std::time::Duration;

use bytes::Bytes;
use loadtest::upstream::{RequestSeen, Script, Seen, Upstream};
use serde_json::json;

use super::{answering, ask, asked, error, file, key, usage};
use crate::support::fixture::{Fixture, PATIENCE};
use crate::support::message::{Answer, Ask, Length};
use crate::support::pairing::{CLIENTS, Client, Speaks};
use crate::support::peers::http1_client::Http1;
use crate::support::refusal::assert_refused;

/// `held` may use `gpt-4o*`, `free` any.
fn clients() -> String {
    format!(
        "clients:\n  - name: held\n    key: {}\n    models: [gpt-4o*]\n    limits: {{ rpm: 2, burst: 1h }}\n  \
         - name: free\n    key: {}\n",
        key("held"),
        key("free"),
    )
}

/// A proxy whose upstream speaks HTTP/2 or HTTP/1.1, in clear.
fn proxy(http2: bool, script: Script) -> Fixture {
    let builder = Upstream::builder().clear().script(script);
    let builder = if http2 { builder.http2() } else { builder.http1() };
    let upstream = builder.start().expect("the mock upstream starts");
    let mut text = file(&upstream, 1, &clients());
    if http2 {
        text = text
            .replace("    key: sk-ours-canary\n", "    key: sk-ours-canary\n    protocol: http2\n");
    }
    let fixture = Fixture::of_file(upstream, &text);
    assert!(fixture.proxy.wait_ready(PATIENCE), "ready");
    fixture
}

fn ok() -> Script {
    Script::new().answer(200, &[], "ok")
}

/// A request of this client with this body.
fn with_body(name: &str, body: impl Into<Bytes>) -> Ask {
    let pieces = vec![body.into()];
    ask(name).header("content-type", "application/json").body(pieces, Length::Known)
}

fn at(path: &str, ask: Ask) -> Ask {
    Ask { target: path.to_owned(), ..ask }
}

fn bodiless(method: &str, path: &str) -> Ask {
    Ask::get(path).method(method).header("authorization", &format!("Bearer {}", key("held")))
}

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

/// What a client sends of which the last piece, or the one before, names a second model.
fn doubled() -> Vec<Vec<Bytes>> {
    let far = Bytes::from("x".repeat(64 * 1024));
    let mut behind_a_mebibyte = vec![Bytes::from(r#"{"model":"gpt-4o","messages":""#)];
    behind_a_mebibyte.extend(std::iter::repeat_n(far, 16));
    behind_a_mebibyte.extend([r#"","model":"o3""#, r#","y":1}"#].map(Bytes::from));
    let split = |pieces: &[&'static str]| pieces.iter().copied().map(Bytes::from).collect();
    vec![
        behind_a_mebibyte,
        split(&[r#"{"model":"gpt-4o","messages":[]"#, r#","model":"o3"}"#]),
        split(&[r#"{"model":"gpt-4o","messages":[]"#, r#","mod"#, r#"\u0065l":"o3"}"#]),
        split(&[r#"{"model":"gpt-4o","messages":[]"#, r#","Model":"o3"}"#]),
        split(&[r#"{"model":"gpt-4o"}"#, r#"{"model":"o3"}"#]),
    ]
}

/// Sends `ask` piece by piece: the upstream has the first before the others leave.
fn sent(fixture: &Fixture, client: &mut Client, ask: &Ask) -> Answer {
    let begun = |fixture: &Fixture| bodies(&fixture.upstream).len();
    let before = begun(fixture);
    let mut exchange = client.begin(ask);
    exchange.send(&ask.pieces[0]);
    fixture.wait_until("the first piece is up", |fixture| begun(fixture) > before);
    for piece in &ask.pieces[1..] {
        exchange.send(piece);
    }
    exchange.end();
    let mut answer = exchange.head();
    while let Some(piece) = exchange.piece(&mut answer) {
        answer.pieces.push(piece);
    }
    answer
}

/// The requests of which an upstream has some of the body.
fn bodies(upstream: &Upstream) -> Vec<RequestSeen> {
    upstream.log().requests.into_iter().filter(|seen| seen.body_len > 0).collect()
}

#[track_caller]
fn assert_never_whole(upstream: &Upstream, requests: usize) {
    let cut = |seen: &RequestSeen| seen.was_cancelled();
    let waited = upstream.wait_for(|log| log.requests.iter().all(cut), PATIENCE);
    let bodies = bodies(upstream);
    assert!(waited && bodies.len() == requests, "{} of {requests}", bodies.len());
    for seen in bodies {
        assert_eq!((&seen.body_sha256, seen.body_end_ns), (&None, None), "a whole body");
        assert!(!seen.body.windows(4).any(|text| text == b"\"o3\""), "{:?}", seen.body);
    }
}

#[test]
fn a_second_model_at_any_distance_cuts_the_upload() {
    for http2 in [false, true] {
        let fixture = proxy(http2, ok());
        let mut asked = 0;
        for speaks in CLIENTS {
            let mut client = speaks.connect(&fixture);
            for (nth, pieces) in doubled().into_iter().enumerate() {
                let length = if nth % 2 == 0 { Length::Unknown } else { Length::Known };
                eprintln!("client {speaks:?}, HTTP/2 upstream {http2}, body {nth}");
                let answer =
                    sent(&fixture, &mut client, &with_body("held", "").body(pieces, length));
                assert_refused(&answer, 400, "model_unreadable");
                asked += 1;
            }
            // All of it at once: it is refused before anybody is asked.
            let whole = with_body("held", r#"{"model":"gpt-4o","a":1,"model":"o3"}"#);
            assert_refused(&client.ask(&whole), 400, "model_unreadable");
            let told = whole.header("expect", "100-continue");
            if speaks == Speaks::Http1 {
                assert_refused(&client.ask(&told), 400, "model_unreadable");
            }
        }
        assert_never_whole(&fixture.upstream, asked);
        let mut client = Speaks::Http1.connect(&fixture);
        let honest = r#"{"model":"gpt-4o","messages":[{"model":"o3"}],"x":"\"model\":\"o3\""}"#;
        assert_eq!(client.ask(&with_body("held", honest)).body(), b"ok");
        // Two a minute for an hour; one comes back each half of a minute.
        let left = fixture.count("firstbyte_client_balance{client=\"held\",limit=\"rpm\"}");
        let made = asked as u64 + 1;
        assert!((120 - made..=120 - made + 2).contains(&left), "what went up counts: {left}");
        let log = fixture.access_log();
        let refused: Vec<_> =
            log.iter().filter(|line| line["error"] == json!("model_unreadable")).collect();
        assert_eq!(refused.len(), asked + 3);
        assert!(refused.iter().all(|line| line["outcome"] == "refused"), "{refused:?}");
    }
}

#[test]
fn a_second_field_of_a_form_cuts_the_upload() {
    let part = |name: &str, text: &str| {
        format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{text}\r\n")
    };
    for http2 in [false, true] {
        let fixture = proxy(http2, ok());
        for speaks in CLIENTS {
            let pieces = [
                part("model", "gpt-4o-transcribe") + &part("file", "x\r\n--\0"),
                part("model", "\"o3\"") + "--b--\r\n",
            ];
            let ask = at("/v1/audio/transcriptions", ask("held"))
                .header("content-type", "multipart/form-data; boundary=b")
                .body(pieces.map(Bytes::from).into(), Length::Known);
            let answer = sent(&fixture, &mut speaks.connect(&fixture), &ask);
            assert_refused(&answer, 400, "model_unreadable");
        }
        assert_never_whole(&fixture.upstream, 2);
    }
}

/// The head is with the client: the stream fails, and what the client cannot be told the log says.
#[test]
fn behind_an_answer_that_came_early_the_stream_fails() {
    let early = || Script::new().early().stream().tokens(1, Duration::ZERO).await_body().done();
    let ask = with_body("held", "").body(doubled().remove(1), Length::Known);
    for http2 in [false, true] {
        let fixture = proxy(http2, early());
        for speaks in CLIENTS {
            let mut client = speaks.connect(&fixture);
            let mut exchange = client.begin(&ask);
            exchange.send(&ask.pieces[0]);
            let mut answer = exchange.head();
            assert_eq!(answer.status, 200);
            assert!(exchange.piece(&mut answer).is_some(), "a token");
            exchange.send(&ask.pieces[1]);
            exchange.end();
            if let Client::Http1(client) = client {
                let mut rest = Vec::new();
                let _closed = client.stream().read_to_end(&mut rest);
                assert!(!rest.ends_with(b"0\r\n\r\n"), "{:?}", String::from_utf8_lossy(&rest));
            } else {
                fixture.wait_until("its stream has failed", |fixture| {
                    client.turn();
                    fixture.count("firstbyte_stream_end_total{outcome=\"refused\"}") == 2
                });
            }
        }
        assert_never_whole(&fixture.upstream, 2);
        let log = fixture.access_log();
        for line in &log {
            let told = (&line["status"], &line["error"], &line["outcome"]);
            assert_eq!(told, (&json!(200), &json!("model_unreadable"), &json!("refused")));
        }
        assert_eq!(log.len(), 2);
    }
}

/// `a` is asked first, then `b`.
fn pair(a: &Upstream, b: Upstream, group: &str) -> Fixture {
    let url = |of: &Upstream| of.base_url().trim_end_matches("/v1").to_owned();
    let text = format!(
        "listen: 127.0.0.1:0\nadmin: 127.0.0.1:0\naccess_log: off\nworkers: 1\n\
         upstreams: {{ a: {{ url: \"{}\" }}, b: {{ url: \"{}\" }} }}\n\
         groups: {{ any: {{ members: [{{ upstream: a }}, {{ upstream: b, tier: 1 }}]{group} }} }}\n\
         routes: [{{ path: /v1, upstream: any }}]\n{}",
        url(a),
        url(&b),
        clients(),
    );
    let fixture = Fixture::of_file(b, &text);
    assert!(fixture.proxy.wait_ready(PATIENCE), "ready");
    fixture
}

#[test]
fn after_a_failover_the_rest_is_looked_through_too() {
    let busy = Script::new().early().answer(503, &[], "busy");
    let a = Upstream::builder().clear().http1().script(busy).start().expect("it starts");
    let fixture = pair(&a, answering(|_| ok()), "");
    for pieces in doubled() {
        let ask = with_body("held", "").body(pieces, Length::Unknown);
        let answer = sent(&fixture, &mut Speaks::Http1.connect(&fixture), &ask);
        assert_refused(&answer, 400, "model_unreadable");
    }
    assert_never_whole(&fixture.upstream, doubled().len());
    assert!(a.log().requests.iter().all(|seen| seen.body_sha256.is_none()));
}

#[test]
fn a_hedge_gets_no_second_model_either() {
    let a = answering(|_| ok());
    let hedge = ", hedge: { quantile: 50, floor: 1ms, ceiling: 10ms, budget: 100 }";
    let fixture = pair(&a, answering(|_| ok()), hedge);
    let ask = with_body("held", "").body(doubled().remove(1), Length::Known);
    let mut client = Http1::new(fixture.connect());
    client.send_head(&ask);
    client.send_piece(&ask, &ask.pieces[0]);
    // It is late, and its body is not whole.
    fixture.wait_until("a hedge was thought of", |fixture| {
        fixture.count("firstbyte_attempts_prevented_total{reason=\"hedge_body\"}") == 1
    });
    client.send_piece(&ask, &ask.pieces[1]);
    assert_refused(&client.answer(&ask), 400, "model_unreadable");
    assert_never_whole(&a, 1);
    assert_eq!(fixture.upstream.requests(), 0);
}

/// Two models at two prices, and what names none at the price of all others.
#[test]
fn money_goes_by_the_model_that_the_request_names() {
    let clients = format!(
        "clients:\n  - name: app-a\n    key: {}\n    budget: {{ usd: 1, per: month }}\n\
         prices:\n  - {{ model: \"cheap-*\", input: 1, output: 2 }}\n  \
         - {{ model: dear, input: 100, output: 200 }}\n  - {{ model: \"*\", input: 10, output: 20 }}\n",
        key("app-a")
    );
    let script = |seen: &Seen| {
        let body = format!(r#"{{"choices":[],{}}}"#, usage(1_000, 100));
        assert!(seen.path_only().starts_with("/v1/"));
        Script::new().answer(200, &[("content-type", "application/json")], body)
    };
    let fixture = super::proxy(answering(script), &clients);
    let chat = "/v1/chat/completions";
    let mut spent = 0.0;
    for (path, body, cost) in [
        (chat, r#"{"model":"cheap-1"}"#, 0.001_2),
        (chat, r#"{"messages":[],"model":"dear"}"#, 0.12),
        (chat, r#"{"model":"other"}"#, 0.012),
        (chat, "{}", 0.012),
        // Where two are named the upstream chooses.
        ("/v1/deployments/dear/chat/completions", r#"{"model":"cheap-1"}"#, 0.12),
        ("/v1/deployments/cheap-1/chat/completions", r#"{"model":"dear"}"#, 0.12),
        (chat, r#"{"model":"cheap-1","x":1}"#, 0.001_2),
    ] {
        assert_eq!(asked(&fixture, &at(path, with_body("app-a", body))).status, 200, "{body}");
        spent += cost;
        let left = "firstbyte_client_balance{client=\"app-a\",limit=\"budget_usd\"}";
        fixture.wait_until("it is charged to the nanodollar", |fixture| {
            (fixture.metric(left) - (1.0 - spent)).abs() < 1e-9
        });
    }
    let twice = asked(&fixture, &with_body("app-a", r#"{"model":"cheap-1","model":"dear"}"#));
    assert_refused(&twice, 400, "model_unreadable");
    let log = fixture.access_log();
    let costs: Vec<_> = log.iter().filter_map(|line| line["cost_usd"].as_f64()).collect();
    assert!(costs.len() >= 7 && (costs[0] - 0.001_2).abs() < 1e-9, "{costs:?}");
    assert!((costs[1] - 0.12).abs() < 1e-9, "{costs:?}");
}

/// For who is only charged by it the model need not stand in the first 32 MiB: files have none. What then comes late
/// would have been cheap.
#[test]
fn a_large_file_of_a_client_with_prices_goes_up_unless_a_model_comes_behind_it() {
    let clients = format!(
        "clients:\n  - name: app-a\n    key: {}\n  - name: held\n    key: {}\n    models: [\"*\"]\n\
         prices:\n  - {{ model: \"*\", input: 10, output: 20 }}\n",
        key("app-a"),
        key("held"),
    );
    let fixture = super::proxy(answering(|_| ok()), &clients);
    let part =
        |name: &str| format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n");
    let file = "x".repeat(33 * 1024 * 1024);
    let upload = |name: &str, end: &str| {
        let body = format!("{}{file}\r\n{end}--b--\r\n", part("file"));
        at("/v1/files", ask(name))
            .header("content-type", "multipart/form-data; boundary=b")
            .body(vec![body.into()], Length::Known)
    };
    assert_eq!(asked(&fixture, &upload("app-a", "")).body(), b"ok");
    let late = upload("app-a", &format!("{}dear\r\n", part("model")));
    assert_refused(&asked(&fixture, &late), 400, "model_unreadable");
    assert_refused(&asked(&fixture, &upload("held", "")), 400, "model_unreadable");
    let whole = |seen: &RequestSeen| seen.body_sha256.is_some();
    let seen = bodies(&fixture.upstream);
    assert_eq!((seen.len(), seen.iter().filter(|seen| whole(seen)).count()), (2, 1));
}
