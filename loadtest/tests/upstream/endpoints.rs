//! What each endpoint of the API answers.

use loadtest::upstream::{NAMED_SCRIPTS, Upstream};
use serde_json::Value;

use crate::client::{H2Answer, H2Client, http1_request};

fn openai() -> Upstream {
    Upstream::builder().tls().http2().tokens(4).start().unwrap()
}

async fn post(path: &str, body: &str) -> H2Answer {
    H2Client::connect(&openai()).await.post(path, body).await.collect().await.unwrap()
}

/// The JSON of each `data:` line but `[DONE]`.
fn events(answer: &H2Answer) -> Vec<Value> {
    let body = String::from_utf8(answer.body()).unwrap();
    let data = body.lines().filter_map(|line| line.strip_prefix("data: "));
    data.filter(|data| *data != "[DONE]").map(|data| serde_json::from_str(data).unwrap()).collect()
}

#[tokio::test]
async fn a_chat_stream_ends_with_usage_if_asked_and_without_if_not() {
    let asked = r#"{"model":"a\"b","stream":true,"stream_options":{"include_usage":true}}"#;
    let answer = post("/v1/chat/completions", asked).await;
    let events = events(&answer);
    assert_eq!(events.len(), 6);
    assert!(events.iter().all(|event| event["model"] == "a\"b"));
    assert_eq!(events[0]["choices"][0]["delta"]["role"], "assistant");
    assert_eq!(events[4]["choices"][0]["finish_reason"], "stop");
    assert_eq!(events[5]["choices"], serde_json::json!([]));
    assert_eq!(events[5]["usage"]["completion_tokens"], 4);
    assert_eq!(answer.claimed_sha256(), answer.actual_sha256());

    let answer = post("/v1/chat/completions", r#"{"stream":true}"#).await;
    assert!(self::events(&answer).iter().all(|event| event.get("usage").is_none()));
}

#[tokio::test]
async fn generations_that_are_not_streamed_say_it_all_at_once() {
    let chat = post("/v1/chat/completions", r#"{"model":"m","n":2}"#).await.json();
    assert_eq!(chat["choices"][1]["message"]["content"], " token token token token");
    let completion = post("/v1/completions", r#"{"model":"m"}"#).await.json();
    assert_eq!(completion["choices"][0]["text"], " token token token token");
    let response = post("/v1/responses", r#"{"model":"m"}"#).await.json();
    assert_eq!(response["output"][0]["content"][0]["text"], " token token token token");
    assert_eq!(response["usage"]["output_tokens"], 4);
}

#[tokio::test]
async fn a_responses_stream_names_and_numbers_its_events_and_repeats_its_text() {
    let answer = post("/v1/responses", r#"{"model":"m","stream":true}"#).await;
    let events = events(&answer);
    let kinds: Vec<&str> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
    let mut expected = vec!["response.created", "response.in_progress"];
    expected.extend(["response.output_item.added", "response.content_part.added"]);
    expected.extend(["response.output_text.delta"; 4]);
    expected.extend(["response.output_text.done", "response.content_part.done"]);
    expected.extend(["response.output_item.done", "response.completed"]);
    assert_eq!(kinds, expected);
    for (n, event) in events.iter().enumerate() {
        assert_eq!(event["sequence_number"], n);
        assert_eq!(event["mock"]["seq"], n);
    }
    let said: String = events.iter().filter_map(|event| event["delta"].as_str()).collect();
    assert_eq!(events[11]["response"]["output"][0]["content"][0]["text"], said);
    let body = String::from_utf8(answer.body()).unwrap();
    assert!(kinds.iter().all(|kind| body.contains(&format!("event: {kind}\ndata: "))));
    assert_eq!(answer.claimed_sha256(), answer.actual_sha256());
}

#[tokio::test]
async fn embeddings_come_as_floats_or_as_base64() {
    let floats = post("/v1/embeddings", r#"{"model":"m","input":["a","b"],"dimensions":8}"#).await;
    let floats = floats.json();
    assert_eq!(floats["data"].as_array().unwrap().len(), 2);
    assert_eq!(floats["data"][1]["embedding"].as_array().unwrap().len(), 8);
    let asked = r#"{"model":"m","input":"a","dimensions":3,"encoding_format":"base64"}"#;
    let coded = post("/v1/embeddings", asked).await.json();
    // 1/2, 1/3, 1/4 as little-endian f32.
    assert_eq!(coded["data"][0]["embedding"], "AAAAP6uqqj4AAIA+");
}

#[tokio::test]
async fn uploads_are_counted_and_hashed_and_not_kept() {
    let upstream = openai();
    let client = H2Client::connect(&upstream).await;
    let body = "x".repeat(300_000);
    let request =
        client.request("/v1/files").header("content-type", "multipart/form-data; boundary=b");
    let (pending, mut upload) = client.start(request).await;
    upload.send_data(body.clone().into(), true).unwrap();
    let json = pending.collect().await.unwrap().json();
    assert_eq!(json["bytes"], 300_000);
    let seen = upstream.log().requests.remove(0);
    assert_eq!(json["mock"]["body_sha256"], seen.body_sha256.unwrap());
    assert_eq!(seen.body.len(), 64 * 1024);
}

#[tokio::test]
async fn the_rest_answers_as_openai_does() {
    let upstream = Upstream::builder().clear().start().unwrap();
    let models = http1_request(&upstream, "GET", "/v1/models", "").await;
    assert!(models.text().contains(r#""id":"gpt-mock""#));
    assert_eq!(http1_request(&upstream, "GET", "/health", "").await.text(), r#"{"status":"ok"}"#);
    let unknown = http1_request(&upstream, "GET", "/v1/nothing", "").await;
    assert!(unknown.head.starts_with("HTTP/1.1 404 "));
    let json: Value = serde_json::from_str(unknown.text()).unwrap();
    assert_eq!(json["error"]["type"], "invalid_request_error");
    let broken = http1_request(&upstream, "POST", "/v1/chat/completions", "{").await;
    assert!(broken.head.starts_with("HTTP/1.1 400 "));
    for name in ["x-request-id: ", "openai-processing-ms: ", "x-ratelimit-remaining-requests: "] {
        assert!(broken.head.contains(name), "{name}");
    }
}

#[tokio::test]
async fn a_request_sets_its_own_pace_by_headers() {
    let upstream = openai();
    let client = H2Client::connect(&upstream).await;
    let request = client.request("/v1/chat/completions").header("x-mock-tokens", "9");
    let (pending, mut upload) = client.start(request.header("x-mock-frame-bytes", "500")).await;
    upload.send_data(r#"{"stream":true}"#.into(), true).unwrap();
    let answer = pending.collect().await.unwrap();
    assert_eq!(answer.frames.iter().filter(|frame| frame.len() == 500).count(), 9);
}

#[tokio::test]
async fn absurd_wishes_are_survived() {
    let upstream = openai();
    let client = H2Client::connect(&upstream).await;
    let most = u64::MAX.to_string();
    for (name, stream) in [
        ("x-mock-tokens", false),
        ("x-mock-gap-us", true),
        ("x-mock-gap-us", false),
        ("x-mock-first-ms", true),
    ] {
        let request = client.request("/v1/chat/completions").header(name, &most);
        let (pending, mut upload) = client.start(request).await;
        upload.send_data(format!(r#"{{"stream":{stream},"n":9}}"#).into(), true).unwrap();
        // Some of them would take for ever.
        let patience = std::time::Duration::from_millis(100);
        let _ = tokio::time::timeout(patience, pending.collect()).await;
    }
    upstream.join();
}

#[tokio::test]
async fn every_named_script_does_something_of_its_own() {
    let ends_well =
        ["standard", "no-done", "error-event", "empty-frames", "echo", "echo-sha256", "goaway"];
    for name in NAMED_SCRIPTS {
        if matches!(name, "stall" | "never") {
            continue; // They end when the client does; the faults' tests show that.
        }
        let upstream = openai();
        let client = H2Client::connect(&upstream).await;
        let request = client.request("/v1/chat/completions").header("x-mock-script", name);
        let (pending, mut upload) = client.start(request).await;
        let _ = upload.send_data(r#"{"stream":true}"#.into(), true);
        let answer = pending.collect().await;
        match name.parse::<u16>() {
            Ok(429) => assert_eq!(answer.unwrap().headers["retry-after"], "1"),
            Ok(status) => assert_eq!(answer.unwrap().status, status),
            Err(_) if ends_well.contains(&name) => {
                assert_eq!(answer.unwrap().status, 200, "{name}");
            }
            Err(_) => assert!(answer.is_err(), "{name}"),
        }
    }
}
