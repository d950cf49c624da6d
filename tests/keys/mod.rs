//! Clients with keys of their own: who may ask, how much, and what it came to.

mod accounting;
mod budgets;
mod certificates;
mod identify;
mod limits;
mod made;
mod members;
mod models;
mod page;
mod privacy;
mod rates;
mod reload;
mod usage;

use std::fmt::Write as _;
use std::time::Duration;

use loadtest::upstream::{Script, Seen, Upstream};

use crate::support::fixture::Fixture;
use crate::support::message::{Answer, Ask};
use crate::support::peers::http1_client::Http1;

/// A client's key by its name.
pub(crate) fn key(name: &str) -> String {
    format!("fb-{name}-canary-0123456789")
}

/// The API's own words for what an answer cost.
pub(crate) fn usage(input: u64, output: u64) -> String {
    format!(
        r#""usage":{{"prompt_tokens":{input},"completion_tokens":{output},"total_tokens":{}}}"#,
        input + output
    )
}

/// A chat that streams some tokens, and says at its end what they were.
pub(crate) fn chat(input: u64, output: u64) -> Script {
    let last = format!("data: {{\"choices\":[],{}}}\n\ndata: [DONE]\n\n", usage(input, output));
    Script::new().stream().tokens(output, Duration::ZERO).body(last).finish()
}

/// A mock upstream that answers all with `script`.
pub(crate) fn answering(script: impl Fn(&Seen) -> Script + Send + Sync + 'static) -> Upstream {
    Upstream::builder().clear().http1().respond(script).start().expect("the mock upstream starts")
}

/// A configuration with this upstream, a route for all of it and one under `/other`, and `clients` below.
pub(crate) fn file(upstream: &Upstream, workers: usize, clients: &str) -> String {
    let mut text = format!(
        "listen: 127.0.0.1:0\nadmin: 127.0.0.1:0\nworkers: {workers}\naccess_log: file:access.jsonl\n\
         upstreams:\n  mock:\n    url: {}\n    key: sk-ours-canary\n\
         routes:\n  - path: /v1\n    upstream: mock\n  - path: /other\n    upstream: mock\n",
        upstream.base_url().trim_end_matches("/v1"),
    );
    let _ = writeln!(text, "{clients}"); // into a String
    text
}

/// A proxy with one worker that knows these clients.
pub(crate) fn proxy(upstream: Upstream, clients: &str) -> Fixture {
    let text = file(&upstream, 1, clients);
    let fixture = Fixture::of_file(upstream, &text);
    assert!(fixture.proxy.wait_ready(crate::support::fixture::PATIENCE), "ready");
    fixture
}

/// A chat of the client of this name.
pub(crate) fn ask(name: &str) -> Ask {
    Ask::post("/v1/chat/completions", r#"{"model":"m","stream":true}"#)
        .header("authorization", &format!("Bearer {}", key(name)))
}

/// Asks on a connection of its own.
pub(crate) fn asked(fixture: &Fixture, ask: &Ask) -> Answer {
    Http1::new(fixture.connect()).ask(ask)
}

/// The JSON of an error: its `type`, `code` and message.
pub(crate) fn error(answer: &Answer) -> (String, String, String) {
    let json = answer.json();
    let text = |name: &str| json["error"][name].as_str().unwrap_or_default().to_owned();
    (text("type"), text("code"), text("message"))
}
