//! What does not say which model is meant is refused in words, and nothing of it goes up.

use bytes::Bytes;
use firstbyte::config::Config;

use super::{Mixed, by_clients, chat, with_model};
use crate::support::message::{Ask, Length};
use crate::support::pairing::CLIENTS;
use crate::support::peers::http1_client::Http1;
use crate::support::refusal::assert_refused;

fn held_to(bytes: usize) -> impl FnOnce(&mut Config) {
    move |config| {
        if let Some(models) = &mut config.routes[0].models {
            models.most_bytes = bytes;
        }
    }
}

#[test]
fn each_is_told_why_and_no_upstream_sees_it() {
    let mixed = Mixed::configured(held_to(4096));
    // Read as a form, this is of another model than as JSON.
    let two = r#"{"model":"gpt-4o","x":"&model=llama-3&x="}"#;
    let form = |kind: &str| Ask::post("/v1/chat/completions", two).header("content-type", kind);
    let far = format!(r#"{{"x":"{}","model":"gpt-4o"}}"#, "x".repeat(5000));
    for (ask, status, code, word) in [
        (with_model("mistral"), 404, "model_not_found", "mistral is not available here"),
        (with_model(""), 404, "model_not_found", "gpt-*"),
        (Ask::get("/v1/models/mistral"), 404, "model_not_found", "mistral"),
        (chat("{}"), 400, "model_missing", "otherwise"),
        (Ask::get("/v1/files"), 400, "model_missing", "names none"),
        (chat("[]"), 400, "model_unreadable", "not a JSON object"),
        (chat("{\"model\""), 400, "model_unreadable", "ended within"),
        (chat(r#"{"model":7}"#), 400, "model_unreadable", "not a string"),
        (chat(r#"{"Model":"gpt-4o"}"#), 400, "model_unreadable", "case"),
        (chat(&far), 400, "model_unreadable", "model_bytes"),
        (
            chat("{}").header("content-encoding", "gzip"),
            415,
            "model_compressed",
            "content-encoding",
        ),
        (
            chat("{}").header("content-type", "text/plain"),
            400,
            "model_unreadable",
            "two content-type",
        ),
        (form("application/x-www-form-urlencoded"), 400, "model_unreadable", "urlencoded"),
        (form("application/json; charset=utf-16le"), 400, "model_unreadable", "charset"),
        (chat("{\"x\":\"\n\",\"model\":\"gpt-4o\"}"), 400, "model_unreadable", "not valid JSON"),
        (Ask::get("/v1/models/%ff"), 400, "model_unreadable", "path"),
        (
            Ask::post("/v1/images/edits", "--x\r\n\r\n\r\n--x--\r\n")
                .header("content-type", "multipart/form-data; boundary=y"),
            400,
            "model_unreadable",
            "boundary",
        ),
    ] {
        for speaks in CLIENTS {
            let answer = speaks.connect(&mixed.fixture).ask(&ask);
            assert_refused(&answer, status, code);
            let message = answer.json()["error"]["message"].to_string();
            assert!(message.contains(word), "{word:?} in {message}");
        }
    }
    assert_eq!(by_clients(&mixed.fixture.upstream).len() + by_clients(&mixed.b).len(), 0);
    assert_eq!(
        mixed.answers(
            &chat("{}")
                .header("content-encoding", "identity")
                .body(vec![r#"{"model":"gpt-4o"}"#.into()], Length::Known)
        ),
        "a"
    );
}

/// The connection is in step after a refusal in the middle of an upload.
#[test]
fn a_client_whose_body_is_refused_may_go_on() {
    let mixed = Mixed::configured(held_to(4096));
    let mut client = Http1::new(mixed.fixture.connect());
    let pieces: Vec<Bytes> = vec!["[".into(), "x".repeat(100_000).into()];
    for length in [Length::Known, Length::Unknown] {
        let refused = client.ask(&chat("").body(pieces.clone(), length));
        assert_refused(&refused, 400, "model_unreadable");
        assert_eq!(client.ask(&with_model("gpt-4o")).body(), b"a");
    }
}
