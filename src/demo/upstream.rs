//! What the demo's upstream answers: stamped streams where it is measured, a sentence where
//! somebody reads along.

use std::io;
use std::time::Duration;

use loadtest::upstream::{Script, Seen, Standard, Upstream};
use serde_json::{Value, json};

use crate::cli::Demo;

/// From the request to the sentence's first word: short, but seen as a wait.
const THINKING: Duration = Duration::from_millis(200);
/// A pace that can be read along.
const READING_PACE: Duration = Duration::from_millis(25);
/// What is said where somebody reads along.
const SENTENCE: &str = "The mock upstream sends each of these words as a separate event, \
    twenty-five milliseconds after the previous one. The proxy forwards every event in the same \
    event-loop turn that read it: it changes no byte and holds nothing back to wait for the next \
    event.";

/// Starts it on a thread of its own, at an ephemeral port of loopback.
pub(super) fn start(wanted: &Demo) -> io::Result<Upstream> {
    let measured =
        Standard { every: wanted.gap, tokens: u64::from(wanted.tokens), ..Standard::default() };
    let answer = move |seen: &Seen| answer(&measured, seen);
    // The log of what was seen would grow with each request.
    Upstream::builder().tls().http2().log(false).respond(answer).start()
}

/// The header of measured requests.
pub(super) const MEASURED: &str = "x-demo-measured";

fn answer(measured: &Standard, seen: &Seen) -> Script {
    if seen.header(MEASURED).is_some() || seen.path_only() != "/v1/chat/completions" {
        return measured.answer(seen);
    }
    match serde_json::from_slice::<Value>(&seen.body) {
        Ok(asked) if asked["stream"] == true => sentence(&asked["model"]),
        _ => measured.answer(seen),
    }
}

fn sentence(model: &Value) -> Script {
    let mut script = Script::new().wait(THINKING).stream();
    for (nth, word) in SENTENCE.split_inclusive(' ').enumerate() {
        if nth > 0 {
            script = script.wait(READING_PACE);
        }
        let chunk = json!({
            "id": "chatcmpl-demo", "object": "chat.completion.chunk", "created": 1_700_000_000,
            "model": model,
            "choices": [{ "index": 0, "delta": { "content": word }, "finish_reason": null }],
        });
        script = script.body(format!("data: {chunk}\n\n"));
    }
    script.done()
}
