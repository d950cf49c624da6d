//! Offsets that are none: told before any head, in words, and nothing breaks.

use super::upstream::Paced;
use super::{ANYONE, ask, begin, proxy, read_up_to};
use crate::support::fixture::Fixture;

/// A stream of 20 bytes with events that end at 9 and 20.
fn stream(fixture: &Fixture, upstream: &Paced) -> String {
    let (mut client, id) = begin(fixture.address(), "");
    let mut answer = upstream.next();
    answer.send(b"data: a\n\ndata: b\r\n\r\n");
    answer.finish();
    assert!(client.chunks(&mut Vec::new()));
    id
}

#[test]
fn a_toxic_cursor_gets_400_in_words_and_the_next_request_is_served() {
    let upstream = Paced::start("text/event-stream");
    let fixture = proxy(upstream.address, 1, ANYONE, "");
    let id = stream(&fixture, &upstream);
    let events = "accept: text/event-stream\r\n";
    for (query, lines, word) in [
        ("?from=-1", "", "not a number"),
        ("?from=+1", "", "not a number"),
        ("?from=1e3", "", "not a number"),
        ("?from=%31", "", "not a number"),
        ("?from=9%0d%0a", "", "not a number"),
        ("?from=latest", "", "not a number"),
        ("?from=21", "", "beyond the end"),
        ("?from=18446744073709551616", "", "beyond the end"),
        ("?from=99999999999999999999999999", "", "beyond the end"),
        ("?from=1&from=2", "", "more than one"),
        ("?lastEventID=1&last_event_id=1", "", "more than one"),
        ("?lastEventID=x&from=1", "", "not a number"),
        ("?from=1", "last-event-id: -9\r\n", "not a number"),
        ("?from=1", "last-event-id: 9\r\nlast-event-id: 9\r\n", "more than one"),
        ("?from=1", "last-event-id: \u{e9}\r\n", "not a number"),
        ("?from=1", events, "inside an event"),
        ("?from=10", events, "inside an event"),
        ("", "accept: text/event-stream\r\nlast-event-id: 8\r\n", "inside an event"),
    ] {
        let given = ask(fixture.address(), &format!("GET /streams/{id}{query}"), lines);
        let (code, message) = given.error();
        assert_eq!((given.status, code.as_str()), (400, "bad_stream_offset"), "{query} {lines}");
        assert!(message.contains(word), "{query} {lines}: {message}");
    }
    let given = ask(fixture.address(), &format!("GET /streams/{id}?from=9"), "");
    assert_eq!((given.status, given.text().as_str()), (200, "data: b\r\n\r\n"));
    let at_end = ask(fixture.address(), &format!("GET /streams/{id}?from=20"), "");
    assert_eq!((at_end.status, at_end.body.len(), at_end.is_whole), (200, 0, true));
}

#[test]
fn an_offset_that_the_ring_has_dropped_gets_410_with_the_smallest() {
    let upstream = Paced::start("text/event-stream");
    let fixture = proxy(upstream.address, 1, "{ anonymous: true, bytes: 256KiB }", "");
    let (mut client, id) = begin(fixture.address(), "");
    let mut answer = upstream.next();
    let (mut body, event) = (Vec::new(), b"data: 01234567\n\n");
    for nth in 1..=400 {
        answer.send(&event.repeat(100));
        read_up_to(&mut client, &mut body, nth * 1600);
    }
    for (lines, at) in [("", 1), ("accept: text/event-stream\r\n", 16)] {
        let given = ask(fixture.address(), &format!("GET /streams/{id}?from=16"), lines);
        let (code, message) = given.error();
        assert_eq!((given.status, code.as_str()), (410, "stream_offset_lost"));
        let smallest = given.header("x-firstbyte-offset").expect("the smallest").to_owned();
        assert!(message.contains(&smallest), "{message}");
        let offset: u64 = smallest.parse().expect("a number");
        assert!((370_000..640_000).contains(&offset) && offset.is_multiple_of(at), "{offset}");
        let mut again =
            super::send(fixture.address(), &format!("GET /streams/{id}?from={smallest}"), lines);
        assert!(super::head(&mut again).0.starts_with("http/1.1 200"));
    }
    assert_eq!(fixture.count(r#"firstbyte_kept_stream_resumes_total{result="lost"}"#), 2);
}

#[test]
fn what_is_no_id_or_no_method_of_a_stream_is_refused() {
    let upstream = Paced::start("text/event-stream");
    let fixture = proxy(upstream.address, 1, ANYONE, "");
    let id = stream(&fixture, &upstream);
    let unknown = "0123456789abcdef0123456789abcdef";
    let upper = id.to_ascii_uppercase();
    let wrong = [unknown, "", "x", &id[1..], &format!("{id}0"), &format!("{id}/"), "%00"];
    for path in wrong.into_iter().chain((upper != id).then_some(&*upper)) {
        for method in ["GET", "HEAD", "DELETE"] {
            let given = ask(fixture.address(), &format!("{method} /streams/{path}"), "");
            assert_eq!(given.status, 404, "{method} {path}: {given:?}");
        }
    }
    for method in ["POST", "PUT", "PATCH"] {
        let lines = "content-length: 0\r\n";
        let given = ask(fixture.address(), &format!("{method} /streams/{id}"), lines);
        assert_eq!(given.status, 405);
        assert_eq!(given.header("allow"), Some("get, head, delete, options"));
    }
}
