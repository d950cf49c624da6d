use http::{Response, StatusCode};
use proptest::prelude::*;

use super::*;
use crate::upstream::HeadScan;

const ID: HeaderValue = HeaderValue::from_static("0123");

fn upstreams(status: u16, lines: &[(&str, &str)]) -> Parts {
    let mut response = Response::builder().status(status).version(Version::HTTP_2);
    for (name, value) in lines {
        response = response.header(*name, *value);
    }
    response.body(()).unwrap().into_parts().0
}

fn made(head: &mut Parts, via: bool) -> Result<(), Error> {
    let marks = HeadScan::of(&head.headers).marks;
    answer(head, marks, &ID, via)
}

fn answered(status: u16, lines: &[(&str, &str)]) -> Parts {
    let mut head = upstreams(status, lines);
    made(&mut head, false).unwrap();
    head
}

fn lines(head: &Parts) -> Vec<(&str, &str)> {
    let mut lines: Vec<_> =
        head.headers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
    lines.sort_by_key(|(name, _)| *name); // stable: lines of one name keep their order
    lines
}

#[test]
fn all_that_is_end_to_end_reaches_the_client_with_our_id() {
    let theirs = [
        ("content-length", "12"),
        ("content-type", "application/json"),
        ("openai-processing-ms", "7"),
        ("retry-after", "3"),
        ("set-cookie", "b=2"),
        ("set-cookie", "a=1"),
        ("x-ratelimit-remaining-tokens", "0"),
        ("x-request-id", "req_1"),
        ("x-should-retry", "false"),
    ];
    for status in [200, 204, 302, 400, 401, 404, 429, 500, 503] {
        let head = answered(status, &theirs);
        assert_eq!(head.status, StatusCode::from_u16(status).unwrap());
        let mut expected = theirs.to_vec();
        expected.insert(6, ("x-firstbyte-request-id", "0123"));
        assert_eq!(lines(&head), expected);
    }
}

#[test]
fn hop_by_hop_fields_stay_on_their_hop() {
    let head = answered(
        200,
        &[
            ("connection", "x-internal, x-firstbyte-request-id"),
            ("x-internal", "1"),
            ("keep-alive", "timeout=5"),
            ("te", "trailers"),
            ("trailer", "x-sum"),
            ("upgrade", "h2c"),
        ],
    );
    assert_eq!(lines(&head), [("x-firstbyte-request-id", "0123")]);
}

#[test]
fn our_id_cannot_be_forged_by_the_upstream() {
    let head = answered(200, &[("x-firstbyte-request-id", "a"), ("x-firstbyte-request-id", "b")]);
    assert_eq!(lines(&head), [("x-firstbyte-request-id", "0123")]);
}

#[test]
fn an_event_stream_asks_not_to_be_buffered_unless_the_upstream_spoke() {
    let of = |lines: &[(&str, &str)]| {
        let head = answered(200, lines);
        head.headers.get("x-accel-buffering").map(|v| v.to_str().unwrap().to_owned())
    };
    for stream in ["text/event-stream", "Text/Event-Stream; charset=utf-8", "text/event-stream ;x"]
    {
        assert_eq!(of(&[("content-type", stream)]).as_deref(), Some("no"), "{stream}");
    }
    for other in ["application/json", "text/event-stream2", "x; text/event-stream"] {
        assert_eq!(of(&[("content-type", other)]), None, "{other}");
    }
    let said = [("content-type", "text/event-stream"), ("x-accel-buffering", "yes")];
    assert_eq!(of(&said).as_deref(), Some("yes"));
}

#[test]
fn via_names_the_version_that_the_upstream_spoke() {
    for (version, hop) in [(Version::HTTP_2, "2 firstbyte"), (Version::HTTP_10, "1.0 firstbyte")] {
        let mut head = upstreams(200, &[("via", "1.1 cdn")]);
        head.version = version;
        made(&mut head, true).unwrap();
        let via: Vec<_> = head.headers.get_all("via").iter().collect();
        assert_eq!(via, ["1.1 cdn", hop]);
        assert_eq!(head.version, Version::HTTP_11);
    }
}

#[test]
fn an_interim_head_is_no_answer() {
    for (status, kind) in
        [(100, Kind::UpstreamProtocol), (101, Kind::UpgradeRefused), (103, Kind::UpstreamProtocol)]
    {
        let error = made(&mut upstreams(status, &[]), true).unwrap_err();
        assert_eq!(error.kind(), kind);
    }
}

#[test]
fn an_answer_with_two_framings_is_told_one_way_or_not_at_all() {
    let chunked = [("transfer-encoding", "chunked"), ("content-length", "5")];
    assert_eq!(lines(&answered(200, &chunked)), [("x-firstbyte-request-id", "0123")]);
    let agreed = [("content-length", "5"), ("content-length", "5")];
    assert_eq!(lines(&answered(200, &agreed))[0], ("content-length", "5"));
    assert_eq!(lines(&answered(200, &agreed)).len(), 2);
    for broken in [
        &[("content-length", "5"), ("content-length", "6")][..],
        &[("transfer-encoding", "gzip, chunked")],
    ] {
        let error = made(&mut upstreams(200, broken), true).unwrap_err();
        assert_eq!(error.kind(), Kind::UpstreamProtocol, "{broken:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

    #[test]
    fn no_connection_line_can_take_the_length_or_our_id(junk in "[ -~]{0,80}") {
        let head = answered(200, &[
            ("connection", junk.trim()),
            ("connection", "content-length, x-firstbyte-request-id"),
            ("content-length", "5"),
        ]);
        prop_assert_eq!(&head.headers["content-length"], "5");
        prop_assert_eq!(&head.headers["x-firstbyte-request-id"], "0123");
        prop_assert!(!head.headers.contains_key("connection"));
    }
}
