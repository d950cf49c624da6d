//! The model is found wherever it stands, and the body goes up as it came.

use bytes::Bytes;
use firstbyte::config::{Protocol, Target, UpstreamId};
use loadtest::upstream::{Script, Upstream};

use super::{Mixed, by_clients, chat, lead, with_model};
use crate::support::message::{Ask, Length};
use crate::support::pairing::CLIENTS;
use crate::support::peers::http1_client::Http1;
use crate::support::peers::http2_client::Http2;
use crate::support::splits::sha256;

#[test]
fn the_model_decides_wherever_it_stands_and_however_it_is_written() {
    let mixed = Mixed::start();
    let filler = format!(r#""messages":[{{"content":"{}"}}]"#, "\\u00e9x\\\"}".repeat(70_000));
    for (body, expected) in [
        (r#"{"model":"gpt-4o"}"#.to_owned(), "a"),
        (r#"{"model":"llama-3"}"#.to_owned(), "b"),
        (r#"{"m":{"model":"gpt-4o"},"model":"llama-3"}"#.to_owned(), "b"),
        (r#"{"mod\u0065l":"\u006clama-3"}"#.to_owned(), "b"),
        ("\u{feff}\r\n {\t\"model\" : \"llama-3\" } ".to_owned(), "b"),
        (format!(r#"{{{filler},"model":"llama-3"}}"#), "b"),
        (format!(r#"{{"model":"llama-3",{filler}}}"#), "b"),
    ] {
        let begin: String = body.chars().take(40).collect();
        let ask = chat(&body);
        for speaks in CLIENTS {
            let answer = speaks.connect(&mixed.fixture).ask(&ask);
            assert_eq!((answer.status, &*answer.body()), (200, expected.as_bytes()), "{begin}");
            let by = if expected == "a" { &mixed.fixture.upstream } else { &mixed.b };
            let seen = by_clients(by).pop().expect("it came");
            assert_eq!(seen.body_sha256, Some(sha256(&[body.clone().into()])), "{begin}");
            assert_eq!(seen.path, "/v1/chat/completions");
        }
    }
}

#[test]
fn any_split_of_the_body_goes_to_the_same_upstream_byte_for_byte() {
    let mixed = Mixed::start();
    let body = "{\"a\":[{\"model\":\"gpt-4o\"}],\"mod\\u0065l\":\"llama-\\ud83d\\ude00\",\"b\":1}";
    let mut client = Http1::new(mixed.fixture.connect());
    let mut asks = 0;
    for cut in 1..body.len() {
        let (one, two) = body.as_bytes().split_at(cut);
        let pieces = [one, two].map(Bytes::copy_from_slice).into();
        let ask = chat("").body(pieces, if cut % 2 == 0 { Length::Known } else { Length::Unknown });
        let answer = client.ask(&ask);
        assert_eq!((answer.status, &*answer.body()), (200, &b"b"[..]), "cut at {cut}");
        asks += 1;
    }
    let each = body.bytes().map(|byte| Bytes::copy_from_slice(&[byte])).collect();
    let bytes = chat("").body(each, Length::Unknown);
    assert_eq!(client.ask(&bytes).body(), b"b");
    let mut http2 = Http2::connect(mixed.fixture.address());
    assert_eq!(http2.ask(&bytes).body(), b"b");
    let seen = by_clients(&mixed.b);
    assert_eq!(seen.len(), asks + 2);
    let expected = Some(sha256(&[body.into()]));
    assert!(seen.iter().all(|seen| seen.body_sha256 == expected));
}

#[test]
fn a_form_s_model_decides_before_and_behind_its_file() {
    let mixed = Mixed::start();
    let file = format!(
        "--x y\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.mp3\"\r\n\r\n{}\r\n",
        "\r\n--x \0".repeat(50_000)
    );
    let model = "--x y\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nllama-w\r\n";
    for body in [format!("{model}{file}--x y--\r\n"), format!("{file}{model}--x y--\r\n")] {
        let ask = Ask::post("/v1/audio/transcriptions", body.clone())
            .header("content-type", "multipart/form-data; boundary=\"x y\"");
        assert_eq!(mixed.answers(&ask), "b");
        let seen = by_clients(&mixed.b).pop().expect("it came");
        assert_eq!(seen.body_sha256, Some(sha256(&[body.into()])));
    }
}

#[test]
fn what_names_no_model_goes_to_otherwise() {
    let mixed = Mixed::configured(|config| lead(config, Some(Target::Upstream(UpstreamId(0)))));
    for ask in [
        Ask::get("/v1/files"),
        Ask::get("/v1/responses/resp_1").method("DELETE"),
        Ask::post("/v1/responses/resp_1/cancel", ""),
        chat("{}"),
        chat("").body(Vec::new(), Length::Unknown),
        chat(r#"{"input":{"model":"llama-3"}}"#),
        with_model("mistral"),
        with_model("gpt-4o"),
    ] {
        assert_eq!(mixed.answers(&ask), "a", "{ask:?}");
    }
    assert_eq!(mixed.answers(&with_model("llama-3")), "b");
    assert_eq!(by_clients(&mixed.b).len(), 1);
}

#[test]
fn a_path_of_one_model_goes_by_its_name() {
    let mixed = Mixed::start();
    assert_eq!(mixed.answers(&Ask::get("/v1/models/llama-3")), "b");
    assert_eq!(mixed.answers(&Ask::get("/v1/models/gpt%2D4o%2Fx?y")), "a");
    assert_eq!(mixed.answers(&Ask::get("/v1/models/llama-ft").method("DELETE")), "b");
    let seen = by_clients(&mixed.fixture.upstream).pop().expect("it came");
    assert_eq!(seen.path, "/v1/models/gpt%2D4o%2Fx?y", "as it was written");
    // An upstream may resolve it, and then it is the body that counts.
    let climbs = Ask::post("/v1/models/gpt-4o/../chat", r#"{"model":"llama-3"}"#);
    assert_eq!(mixed.answers(&climbs), "b");
}

#[test]
fn the_pattern_is_counted_and_logged_and_never_the_name() {
    let mixed = Mixed::configured(|config| lead(config, Some(Target::Upstream(UpstreamId(1)))));
    for model in ["gpt-canary", "gpt-4o", "llama-canary", "canary"] {
        mixed.answers(&with_model(model));
    }
    mixed.answers(&Ask::get("/v1/files"));
    let count = |model: &str| {
        let series = format!(
            "firstbyte_model_requests_total{{route=\"/v1\",model=\"{model}\",code=\"200\"}}"
        );
        mixed.fixture.count(&series)
    };
    mixed.fixture.wait_until("all are counted", |_| count("other") == 1);
    assert_eq!([count("gpt-*"), count("llama-*")], [2, 1]);
    let page = mixed.fixture.admin("/metrics").1;
    assert!(!page.contains("canary"), "{page}");
    let log = mixed.fixture.access_log();
    let models: Vec<_> = log.iter().map(|line| line["model"].clone()).collect();
    let expected = ["gpt-*", "gpt-*", "llama-*", "other"].map(serde_json::Value::from);
    assert_eq!(models[..4], expected);
    assert!(models[4].is_null(), "{models:?}");
    assert!(!format!("{log:?}").contains("canary"));
}

/// What was looked through is sent again from the first byte, over either protocol.
#[test]
fn a_failover_sends_the_same_bytes_again() {
    let body = format!(
        r#"{{"x":"{}","model":"gpt-4o","y":"{}"}}"#,
        "é".repeat(90_000),
        "z".repeat(90_000)
    );
    for protocol in [Protocol::Http1, Protocol::Http2] {
        let upstream = |script| {
            let builder = Upstream::builder().clear().script(script);
            if protocol == Protocol::Http2 { builder.http2() } else { builder.http1() }
        };
        let a = upstream(Script::new().answer(503, &[], "no"));
        let b = upstream(Script::new().answer(200, &[], "b"));
        let mixed = Mixed::of(a, b, protocol, |config| {
            crate::support::group::grouped_by_model(config, super::glob("gpt-*"));
        });
        assert_eq!(mixed.answers(&chat(&body)), "b");
        let expected = Some(sha256(&[body.clone().into()]));
        for upstream in [&mixed.fixture.upstream, &mixed.b] {
            let seen = by_clients(upstream);
            assert_eq!(seen.len(), 1, "{protocol:?}");
            assert_eq!(seen[0].body_sha256, expected, "{protocol:?}");
        }
    }
}

/// More than a replay may keep is held for the look, goes up once, and is not sent again.
#[test]
fn a_body_of_which_more_is_held_than_kept_goes_up_whole() {
    let mixed = Mixed::configured(|config| config.limits.replay_bytes = 1024);
    let body = format!(r#"{{"x":"{}","model":"llama-3","y":1}}"#, "é".repeat(90_000));
    assert_eq!(mixed.answers(&chat(&body)), "b");
    let seen = by_clients(&mixed.b).pop().expect("it came");
    assert_eq!(seen.body_sha256, Some(sha256(&[body.into()])));
}
