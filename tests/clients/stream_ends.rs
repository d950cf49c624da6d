//! Streams of events whose last event was delivered are complete, whoever closes behind it; and those without one
//! are not, whatever their text says.

use std::time::Duration;

use bytes::Bytes;
use loadtest::upstream::{Builder, Cut, Script, Seen, Upstream};

use crate::support::fixture::Fixture;
use crate::support::message::Ask;
use crate::support::peers::http1_client::Http1;
use crate::support::peers::raw_http2;

/// How streams end, and how those do that have not.
const ENDINGS: [(&str, bool); 20] = [
    ("data: [DONE]\n\n", true),
    ("data: [DONE]\r\n\r\n", true),
    ("data: [DONE]\r\r", true),
    ("data: [DONE]\n", true),
    ("data: [DONE]", true),
    ("data:[DONE]\n\n: bye\n\n", true),
    (
        "event: response.completed\ndata: {\"type\":\"response.completed\",\"response\":\"LARGE\"}\n\n",
        true,
    ),
    (
        "event: response.completed\r\ndata: {\"type\":\"response.completed\"}\r\n\r\n: ping\r\n\r\n",
        true,
    ),
    ("event: response.failed\ndata: {\"type\":\"response.failed\"}\n", true),
    ("event: response.incomplete\rdata: {\"type\":\"response.incomplete\"}\r\r", true),
    ("event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n", true),
    ("event: error\ndata: {\"type\":\"error\"}\n\nevent: ping\ndata: {}\n\n", true),
    ("data: {\"type\":\"image_generation.completed\",\"b64_json\":\"LARGE\"}\n\n", true),
    ("data: {\"type\":\"speech.audio.done\",\"usage\":{}}\n\n", true),
    ("data: {\"type\":\"transcript.text.done\",\"text\":\"x\"}\n\n", true),
    (
        "data: {\"choices\":[{\"finish_reason\":\"stop\"}]}\n\ndata: {\"choices\":[],\"usage\":{}}\n\n",
        true,
    ),
    (
        "data: {\"choices\":[{\"delta\":\"\\ndata: [DONE]\\n\\n\",\"finish_reason\":null}]}\n\n",
        false,
    ),
    ("data: {\"choices\":[{\"delta\":\"{\\\"finish_reason\\\":\\\"stop\\\"}\"}]}\n\n", false),
    (
        "event: response.completed\ndata: {\"type\":\"response.completed\",\"response\":\"LARGE",
        false,
    ),
    ("event: message_delta\ndata: {\"type\":\"message_delta\"}\n\n", false),
];

/// Larger than all that is kept of a stream's end, and than a frame.
const LARGE: usize = 40_000;

/// How long after its last byte an upstream would go on.
const LATER: Duration = Duration::from_secs(60);

/// Who closes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Closer {
    Client,
    Upstream,
    /// Nobody: the upstream is silent for as long as it may be.
    Clock,
}

fn text(ending: &str) -> Bytes {
    ending.replace("LARGE", &"x".repeat(LARGE)).into()
}

/// A path says who closes and after what.
fn script(seen: &Seen) -> Script {
    let mut path = seen.path_only().rsplit('/');
    let nth: usize = path.next().and_then(|nth| nth.parse().ok()).expect("a number");
    let script = Script::new().stream().body(text(ENDINGS[nth].0));
    match path.next() {
        Some("reset") => script.reset(2),
        Some("fin") => script.cut(Cut::Fin),
        _ => script.wait(LATER),
    }
}

/// Reads what an HTTP/1.1 client is sent, and closes if that is its part.
fn over_http1(fixture: &Fixture, path: &str, length: usize, closer: Closer) {
    let mut client = Http1::new(fixture.connect());
    let ask = Ask::get(path);
    client.send(&ask);
    let (mut answer, mut read) = (client.head(&ask), 0);
    while read < length {
        read += client.piece(&mut answer).expect("more of it").len();
    }
    if closer != Closer::Client {
        client.assert_closed();
    }
}

/// The same over HTTP/2.
fn over_http2(fixture: &Fixture, path: &str, length: usize, closer: Closer) {
    raw_http2::block_on(async {
        let client = raw_http2::Client::connect(fixture.address()).await;
        let mut body = client.send(path, b"").await.await.expect("a head").into_body();
        let mut read = 0;
        while read < length {
            read += raw_http2::next(&mut body).await.expect("an open stream").expect("more").len();
        }
        if closer == Closer::Client {
            drop(body);
            let gone = |fixture: &Fixture| fixture.count("firstbyte_streams_in_flight") == 0;
            fixture.wait_until_async("the stream is given up", gone).await;
        } else {
            raw_http2::next(&mut body).await.expect_err("a cut is told as one");
        }
    });
}

fn assert_ends(upstream: Builder, closer: Closer, way: &str) {
    let fixture = Fixture::configured(upstream.respond(script), |config| {
        if closer == Closer::Clock {
            config.upstreams[0].deadlines.frame_gap = Duration::from_millis(50);
        }
    });
    let mut asked = 0;
    for (nth, (ending, _)) in ENDINGS.iter().enumerate() {
        if closer == Closer::Clock && ending.contains("LARGE") {
            continue; // its frames might be as far apart as the clock allows
        }
        asked += 2;
        let length = text(ending).len();
        over_http1(&fixture, &format!("/v1/1/{way}/{nth}"), length, closer);
        over_http2(&fixture, &format!("/v1/2/{way}/{nth}"), length, closer);
    }
    fixture
        .wait_until("all have ended", |fixture| fixture.count("firstbyte_streams_in_flight") == 0);
    let timeouts = r#"firstbyte_timeouts_total{upstream="openai",clock="frame_gap"}"#;
    let timed_out = fixture.count(timeouts);
    let lines = fixture.access_log();
    assert_eq!(lines.len(), asked);
    let mut incomplete = 0;
    for line in lines {
        let path = line["path"].as_str().expect("a path");
        let nth = path.rsplit('/').next().and_then(|nth| nth.parse().ok());
        let (ending, complete) = ENDINGS[nth.unwrap_or(usize::MAX)];
        let expected = match closer {
            _ if complete => "complete",
            Closer::Client => "client_gone",
            Closer::Upstream => "upstream_failed",
            Closer::Clock => "timed_out",
        };
        assert_eq!(line["outcome"], expected, "{path} {ending:?}: {line}");
        assert_eq!(line["error"].is_null(), complete || closer == Closer::Client, "{line}");
        incomplete += u64::from(!complete);
    }
    assert_eq!(timed_out, if closer == Closer::Clock { incomplete } else { 0 });
}

#[test]
fn a_client_that_closes_behind_the_last_event_of_an_http2_upstream_has_had_it_all() {
    assert_ends(Upstream::builder().http2(), Closer::Client, "wait");
}

#[test]
fn a_client_that_closes_behind_the_last_event_of_an_http1_upstream_has_had_it_all() {
    assert_ends(Upstream::builder().clear().http1(), Closer::Client, "wait");
}

#[test]
fn an_http2_upstream_that_resets_behind_the_last_event_has_said_all() {
    assert_ends(Upstream::builder().http2(), Closer::Upstream, "reset");
}

#[test]
fn an_http1_upstream_that_closes_behind_the_last_event_has_said_all() {
    assert_ends(Upstream::builder().clear().http1(), Closer::Upstream, "fin");
}

#[test]
fn an_upstream_that_is_silent_behind_the_last_event_has_said_all() {
    for upstream in [Upstream::builder().http2(), Upstream::builder().clear().http1()] {
        assert_ends(upstream, Closer::Clock, "wait");
    }
}
