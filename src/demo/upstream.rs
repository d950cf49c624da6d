//! What the demo's upstream answers: stamped streams where it is measured, a sentence where
//! somebody reads along, and the page to read along in.

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

/// More words than anybody reads along.
const MOST_WORDS: usize = 2_000;
/// Pauses before the words of an answer whose length was asked for, in milliseconds: no model keeps one pace.
const UNEVEN: [u64; 16] = [25, 18, 30, 22, 25, 60, 20, 28, 35, 19, 25, 150, 24, 21, 32, 26];
/// Where the proxy leads for it is [`PAGE_PATH`]; here that is what is left of it behind the base path.
const PAGE: &str = include_str!("../../docs/page/index.html");

/// Of the page, as a browser asks the proxy for it.
pub(super) const PAGE_PATH: &str = "/page";

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
    if seen.method == "GET" && seen.path_only().trim_end_matches('/') == "/v1" {
        let html = [("content-type", "text/html; charset=utf-8"), ("cache-control", "no-store")];
        return Script::new().answer(200, &html, PAGE);
    }
    if seen.header(MEASURED).is_some() || seen.path_only() != "/v1/chat/completions" {
        return measured.answer(seen);
    }
    match serde_json::from_slice::<Value>(&seen.body) {
        Ok(asked) if asked["stream"] == true => {
            let most = asked["max_tokens"].as_u64().and_then(|most| usize::try_from(most).ok());
            sentence(&asked["model"], most)
        }
        _ => measured.answer(seen),
    }
}

/// Once and at an even pace, or over and over until `most` words were said.
fn sentence(model: &Value, most: Option<usize>) -> Script {
    let words = SENTENCE.split_inclusive(' ').count();
    let said = most.map_or(words, |most| most.min(MOST_WORDS));
    let text = format!("{SENTENCE} ");
    let mut script = Script::new().wait(THINKING).stream();
    for (nth, word) in text.split_inclusive(' ').cycle().take(said).enumerate() {
        if nth > 0 {
            let uneven = Duration::from_millis(UNEVEN[nth % UNEVEN.len()]);
            script = script.wait(if most.is_some() { uneven } else { READING_PACE });
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
