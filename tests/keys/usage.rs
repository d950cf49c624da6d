//! What answers say that they cost, of every API, streamed and whole: each is charged once, and to the token.

use super::{answering, ask, key, proxy};
use crate::support::message::{Ask, Length};
use crate::support::pairing::CLIENTS;

use loadtest::upstream::{Script, Seen};
use serde_json::{Value, json};

const STREAM: &str = "text/event-stream";
const JSON: &str = "application/json";

/// A path, what is answered there, and what it cost: input, cached, output.
struct Said {
    path: &'static str,
    kind: &'static str,
    body: String,
    cost: [u64; 3],
}

fn events(all: &[(&str, Value)]) -> String {
    let one = |(name, data): &(&str, Value)| {
        if name.is_empty() {
            format!("data: {data}\n\n")
        } else {
            format!("event: {name}\ndata: {data}\n\n")
        }
    };
    all.iter().map(one).collect()
}

fn said() -> Vec<Said> {
    let chunk = |usage: Value| json!({ "object": "chat.completion.chunk", "choices": [{ "delta": { "content": "\"usage\":{\"prompt_tokens\":9}" } }], "usage": usage });
    let usage = json!({ "prompt_tokens": 12, "completion_tokens": 5, "total_tokens": 17, "prompt_tokens_details": { "cached_tokens": 4 } });
    let long = "x".repeat(100_000);
    let said = |path, kind, body, cost| Said { path, kind, body, cost };
    vec![
        said("/v1/chat/completions", STREAM,
            events(&[("", chunk(Value::Null)), ("", json!({ "choices": [], "usage": usage }))]) + "data: [DONE]\n\n", [12, 4, 5]),
        said("/v1/chat/cumulative", STREAM,
            events(&[("", chunk(json!({ "prompt_tokens": 3, "completion_tokens": 1 }))), ("", chunk(json!({ "prompt_tokens": 3, "completion_tokens": 2 })))]) + "data: [DONE]\n\n", [3, 0, 2]),
        said("/v1/chat/groq", STREAM,
            events(&[("", chunk(Value::Null)), ("", json!({ "choices": [{ "delta": {}, "finish_reason": "stop" }], "x_groq": { "usage": { "prompt_tokens": 8, "completion_tokens": 6 } } }))]) + "data: [DONE]\n\n", [8, 0, 6]),
        said("/v1/chat/whole", JSON,
            json!({ "choices": [{ "message": { "content": long } }], "usage": usage }).to_string(), [12, 4, 5]),
        said("/v1/completions", JSON,
            json!({ "choices": [{ "text": "a" }], "usage": { "prompt_tokens": 2, "completion_tokens": 1 } }).to_string(), [2, 0, 1]),
        said("/v1/embeddings", JSON,
            json!({ "data": [{ "embedding": vec![0.25; 20_000] }], "usage": { "prompt_tokens": 33, "total_tokens": 33 } }).to_string(), [33, 0, 0]),
        said("/v1/responses", STREAM,
            events(&[
                ("response.created", json!({ "type": "response.created", "response": { "usage": null } })),
                ("response.output_text.delta", json!({ "type": "response.output_text.delta", "delta": "a" })),
                ("response.completed", json!({ "type": "response.completed", "response": { "output": [{ "text": long }], "usage": { "input_tokens": 40, "input_tokens_details": { "cached_tokens": 10 }, "output_tokens": 20, "total_tokens": 60 }, "metadata": {} } })),
            ]), [40, 10, 20]),
        said("/v1/messages", STREAM,
            events(&[
                ("message_start", json!({ "type": "message_start", "message": { "usage": { "input_tokens": 25, "cache_read_input_tokens": 5, "cache_creation_input_tokens": 10, "output_tokens": 1 } } })),
                ("content_block_delta", json!({ "type": "content_block_delta", "delta": { "text": "a" } })),
                ("message_delta", json!({ "type": "message_delta", "delta": { "stop_reason": "end_turn" }, "usage": { "output_tokens": 15 } })),
                ("message_stop", json!({ "type": "message_stop" })),
            ]), [40, 5, 15]),
    ]
}

fn script(seen: &Seen) -> Script {
    let all = said();
    let Some(one) = all.into_iter().find(|one| one.path == seen.path_only()) else {
        return Script::new().answer(404, &[], "");
    };
    let head = Script::new().head(200, &[("content-type", one.kind)]);
    // In pieces that respect nothing.
    let bytes = one.body.into_bytes();
    let pieces = bytes.chunks(7_919).map(<[u8]>::to_vec);
    pieces.fold(head, Script::body).finish()
}

#[test]
fn every_apis_answers_are_charged_to_the_token_and_once() {
    let clients = format!("clients:\n  - name: app-a\n    key: {}\n", key("app-a"));
    let fixture = proxy(answering(script), &clients);
    for one in said() {
        for speaks in CLIENTS {
            let ask = Ask { target: one.path.into(), ..ask("app-a") };
            let answer = speaks.connect(&fixture).ask(&ask);
            assert_eq!(
                (answer.status, answer.body()),
                (200, one.body.clone().into_bytes()),
                "{}",
                one.path
            );
        }
    }
    fixture
        .wait_until("all have ended", |fixture| fixture.count("firstbyte_streams_in_flight") == 0);
    let tokens =
        |kind: &str| fixture.count(&format!("firstbyte_client_tokens_total{{kind=\"{kind}\"}}"));
    let sum = |nth: usize| said().iter().map(|one| one.cost[nth]).sum::<u64>() * 2;
    assert_eq!([tokens("input"), tokens("cached"), tokens("output")], [sum(0), sum(1), sum(2)]);
    assert_eq!(fixture.count("firstbyte_client_estimated_requests_total"), 0);
    let log = fixture.access_log();
    for one in said() {
        let lines: Vec<_> = log.iter().filter(|line| line["path"] == one.path).collect();
        let [input, cached, output] = one.cost;
        let expected = json!({ "input": input, "cached": cached, "output": output });
        assert!(
            lines.len() == 2 && lines.iter().all(|line| line["usage"] == expected),
            "{lines:?}"
        );
    }
}

#[test]
fn an_answer_that_does_not_say_or_cannot_be_read_is_estimated_and_never_free() {
    let script = |seen: &Seen| match seen.path_only() {
        "/v1/silent" => Script::new().stream().tokens(3, std::time::Duration::ZERO).done().finish(),
        "/v1/packed" => Script::new().answer(
            200,
            &[("content-type", JSON), ("content-encoding", "gzip")],
            "\u{1f}\u{8b}",
        ),
        _ => Script::new().answer(
            200,
            &[("content-type", JSON)],
            r#"{"usage":{"prompt_tokens":-1,"completion_tokens":"many"}}"#,
        ),
    };
    let clients = format!("clients:\n  - name: app-a\n    key: {}\n", key("app-a"));
    let fixture = proxy(answering(script), &clients);
    for path in ["/v1/silent", "/v1/packed", "/v1/lying"] {
        let ask = Ask { target: path.into(), ..ask("app-a") };
        assert_eq!(super::asked(&fixture, &ask).status, 200);
    }
    fixture.wait_until("all are charged", |fixture| {
        fixture.count("firstbyte_client_estimated_requests_total") == 3
    });
    for reason in ["absent", "encoded", "unreadable"] {
        assert!(
            fixture.count(&format!("firstbyte_usage_unknown_total{{reason=\"{reason}\"}}")) >= 1,
            "{reason}"
        );
    }
    let log = fixture.access_log();
    assert!(log.iter().all(|line| line["usage"]["output"].as_u64() >= Some(1)), "{log:?}");
}

#[test]
fn an_estimate_is_no_less_than_the_size_of_the_body_says() {
    let script = |seen: &Seen| match seen.path_only() {
        "/v1/silent" => Script::new().stream().tokens(1, std::time::Duration::ZERO).done().finish(),
        _ => super::chat(2, 1),
    };
    let clients = format!("clients:\n  - name: app-a\n    key: {}\n", key("app-a"));
    let fixture = proxy(answering(script), &clients);
    // What requests took of late is little.
    assert_eq!(super::asked(&fixture, &ask("app-a")).status, 200);
    for (nth, bytes) in [4, 400, 40_000].into_iter().enumerate() {
        let ask = ask("app-a").body(vec!["x".repeat(bytes).into()], Length::Known);
        let ask = Ask { target: "/v1/silent".into(), ..ask };
        assert_eq!(super::asked(&fixture, &ask).status, 200);
        fixture.wait_until("it is charged", |fixture| {
            fixture.count("firstbyte_client_estimated_requests_total") == nth as u64 + 1
        });
    }
    let log = fixture.access_log();
    let inputs: Vec<_> = log.iter().map(|line| line["usage"]["input"].clone()).collect();
    assert_eq!(inputs, [2, 2, 100, 10_000], "what they took of late, or four bytes a token");
}

#[test]
fn what_asks_no_model_costs_nothing_and_is_no_estimate() {
    let fixture = proxy(
        answering(|_| Script::new().answer(200, &[("content-type", JSON)], r#"{"data":[]}"#)),
        &format!(
            "clients:\n  - name: app-a\n    key: {}\n    budget: {{ tokens: 10, per: day }}\n",
            key("app-a")
        ),
    );
    for _ in 0..5 {
        let list =
            Ask::get("/v1/models").header("authorization", &format!("Bearer {}", key("app-a")));
        assert_eq!(super::asked(&fixture, &list).status, 200);
    }
    fixture.wait_until("all have ended", |fixture| {
        fixture.count("firstbyte_client_requests_total") == 5
    });
    assert_eq!(fixture.count("firstbyte_client_balance{limit=\"budget_tokens\"}"), 10);
    assert_eq!(fixture.count("firstbyte_client_estimated_requests_total"), 0);
}
