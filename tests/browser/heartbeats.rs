use std::time::Duration;

use loadtest::upstream::{Script, Seen, Upstream};
use serde_json::json;

use super::drive;
use crate::support::fixture::Fixture;

const EVERY: Duration = Duration::from_millis(20);

/// Its path says what it is.
fn script(seen: &Seen) -> Script {
    if !seen.path_only().ends_with("/events") {
        return Script::new().answer(200, &[("content-type", "text/html")], "<!doctype html>");
    }
    let events =
        ["id: 1\ndata: a\n\n", "id: 2\r\ndata: b\r\n\r\n", "data: c\n\n", "data: [DONE]\n\n"];
    let silent = |script: Script, event| script.wait(EVERY * 8).body(event);
    events.into_iter().fold(Script::new().stream(), silent).stall()
}

/// It makes no event of a comment, and keeps the id of the last one that had one.
#[test]
fn an_event_source_sees_nothing_of_the_comments() {
    let proxy = Fixture::configured(Upstream::builder().respond(script), |config| {
        config.routes[0].heartbeat = Some(EVERY);
    });
    let origin = format!("http://{}", proxy.address());
    let url = format!("{origin}/v1/page?at=/v1/events");
    let Some(seen) = drive("source", &origin, &url) else { return };
    let whole =
        json!({ "data": ["a", "b", "c", "[DONE]"], "ids": ["1", "2", "2", "2"], "errors": 0 });
    assert_eq!(seen, whole);
    assert!(proxy.count("firstbyte_heartbeats_total") >= 4);
}
