use std::time::Duration;

use loadtest::upstream::{Builder, Script, Upstream};
use serde_json::json;

use super::{assert_same, for_both};
use crate::support::fixture::Fixture;

const EVERY: Duration = Duration::from_millis(10);

fn proxy(upstream: Builder) -> Fixture {
    Fixture::configured(upstream, |config| config.routes[0].heartbeat = Some(EVERY))
}

fn comments(proxy: &Fixture) -> u64 {
    proxy.count("firstbyte_heartbeats_total")
}

/// Every API that streams, with comments before, between and behind its events.
#[test]
fn applications_see_nothing_of_the_comments() {
    let slow = |upstream: Builder| upstream.first_token_after(EVERY * 5).token_every(EVERY * 4);
    let direct = slow(Upstream::builder().clear().http1()).start().expect("an upstream");
    let proxy = proxy(slow(Upstream::builder().tls().http2()));
    for_both(|sdk| {
        let before = comments(&proxy);
        let verdicts = (
            sdk.passes(&direct.base_url(), "streams", &[])?,
            sdk.passes(&proxy.base_url(), "streams", &[])?,
        );
        assert_same(sdk, &verdicts.0, &verdicts.1);
        assert!(comments(&proxy) - before >= 10, "{sdk:?}");
        Some(())
    });
}

/// The Python SDK keeps the last id, and makes an event without data of every empty line that follows.
#[test]
fn a_stream_with_ids_and_any_end_of_line_is_read_to_its_end() {
    let chunk = |text: &str| {
        let delta = json!({ "index": 0, "delta": { "content": text }, "finish_reason": null });
        let chunk = json!({ "id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m",
            "choices": [delta] });
        format!("data: {chunk}")
    };
    let events = [
        format!("id: 1\n{}\n\n", chunk("a")),
        format!("id: 2\r\n{}\r\n\r\n", chunk("b")),
        format!(": hi\nevent: message\nid: 3\n{}\n\n", chunk("c")),
        "data: [DONE]\n\n".to_owned(),
    ];
    let script = events
        .iter()
        .fold(Script::new().stream(), |script, event| script.wait(EVERY * 10).body(event.clone()));
    let proxy = proxy(Upstream::builder().clear().http1().script(script.wait(EVERY * 10).finish()));
    for_both(|sdk| {
        let before = comments(&proxy);
        let verdicts = sdk.passes(&proxy.base_url(), "silent", &[])?;
        assert_eq!(verdicts[0].seen["text"], "abc", "{sdk:?}");
        assert!(comments(&proxy) - before >= 4, "{sdk:?}");
        Some(())
    });
}
