//! The example of docs/clients.md, as a reader would run it.

use super::{answering, asked, chat};
use crate::support::fixture::{Fixture, PATIENCE};
use crate::support::message::Ask;

#[test]
fn the_pages_example_runs_as_it_stands() {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/clients.md"))
        .expect("the page");
    let example = page.split("```yaml\n").nth(1).and_then(|rest| rest.split("```").next());
    let example = example.expect("an example");
    let upstream = answering(|_| chat(1_000, 100));
    let text = example
        .replace("https://api.openai.com/v1", &upstream.base_url())
        .replace("${OPENAI_API_KEY}", "sk-ours-canary")
        .replace("${APP_A_KEY}", "fb-app-a-canary-0123456789");
    let text =
        format!("listen: 127.0.0.1:0\nadmin: 127.0.0.1:0\naccess_log: file:access.jsonl\n{text}");
    let fixture = Fixture::of_file(upstream, &text);
    assert!(fixture.proxy.wait_ready(PATIENCE), "ready");
    let ask =
        Ask::post("/v1/chat/completions", r#"{"model":"gpt-4o-mini-2024-07-18","stream":true}"#);
    assert_eq!(asked(&fixture, &ask).status, 401);
    let answer = asked(&fixture, &ask.header("authorization", "Bearer fb-app-a-canary-0123456789"));
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("x-ratelimit-remaining-requests"), Some("599"));
    let left = "firstbyte_client_balance{client_group=\"team-a\",limit=\"budget_usd\"}";
    // A thousand tokens at 0.15 and a hundred at 0.60 dollars a million.
    let cost = 0.000_15 + 0.000_06;
    fixture.wait_until("the group is charged", |fixture| {
        (fixture.metric(left) - (500.0 - cost)).abs() < 1e-9
    });
}
