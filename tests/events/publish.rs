//! What is published, in either form, and what is refused.

use super::{Subscriber, asked, json, proxy, published, sse};
use crate::support::message::Ask;
use crate::support::peers::http2_client::Http2;
use crate::support::refusal::assert_refused;

#[test]
fn both_forms_reach_a_subscriber_that_was_there_before() {
    let fixture = proxy(1, "{}", "");
    let mut subscriber = Subscriber::to(&fixture, "/events/news");
    assert_eq!(subscriber.behind(), "earliest");
    for (name, expected) in [
        ("content-type", "text/event-stream"),
        ("cache-control", "no-store"),
        ("x-accel-buffering", "no"),
    ] {
        assert_eq!(subscriber.line(name), Some(expected), "{}", subscriber.head);
    }
    let two = asked(
        &fixture,
        &sse("news", "event: x\ndata: a\ndata: b\n\n: no event\nid: o-5\r\ndata:c"),
    );
    assert_eq!((two.status, two.header("content-type")), (200, Some("application/json")));
    assert_eq!(two.json(), serde_json::json!({ "id": "o-5", "published": 2 }));
    let id = published(&fixture, &json("news", r#"{"data":{"n": 1},"event":"j","retry":250}"#));
    let (epoch, count) = id.split_once('-').expect("an epoch");
    assert_eq!((epoch.len(), count), (16, "3"));
    assert_eq!(subscriber.event().unwrap(), format!("id: {epoch}-1\nevent: x\ndata: a\ndata: b"));
    assert_eq!(subscriber.event().unwrap(), "id: o-5\ndata: c");
    assert_eq!(
        subscriber.event().unwrap(),
        format!("id: {epoch}-3\nevent: j\nretry: 250\ndata: {{\"n\": 1}}")
    );
    assert_eq!(fixture.upstream.log().requests.len(), 0, "no upstream is asked");
}

#[test]
fn a_name_has_its_own_events_only() {
    let fixture = proxy(1, "{}", "");
    let mut one = Subscriber::to(&fixture, "/events/one");
    published(&fixture, &sse("other", "data: not for one"));
    published(&fixture, &sse("one", "data: for one"));
    assert_eq!(one.data(), "for one");
}

#[test]
fn what_is_no_event_is_refused_in_words_and_nothing_of_it_is_published() {
    let fixture = proxy(1, "{ message: 1KiB, bytes: 16KiB }", "");
    let plain = |kind: &str, body: &str| {
        let ask = Ask::post("/events/news", body.to_owned());
        if kind.is_empty() { ask } else { ask.header("content-type", kind) }
    };
    let large = format!("data: {}", "x".repeat(1024));
    for (ask, status, code) in [
        (sse("news", "data: a\n\nnonsense\n\n"), 400, "event_unfit"),
        (sse("news", "data: a\n\nid: a\0b\ndata: b"), 400, "event_unfit"),
        (sse("news", ""), 400, "event_unfit"),
        (json("news", r#"{"data":"x","id":"a\nb"}"#), 400, "event_unfit"),
        (json("news", r#"{"data":"x","event":"a\r\nid: forged"}"#), 400, "event_unfit"),
        (json("news", r#"{"text":"x"}"#), 400, "event_unfit"),
        (json("news", r#"[{"data":"x"}]"#), 400, "event_unfit"),
        (plain("application/x-www-form-urlencoded", "data=x"), 415, "event_media_type"),
        (plain("", "data: x"), 415, "event_media_type"),
        (sse("news", "data: x").header("content-encoding", "gzip"), 415, "event_media_type"),
        (sse("news", &large), 413, "event_too_large"),
        (sse("a%20b", "data: x"), 400, "event_unfit"),
        (sse("a/b", "data: x"), 400, "event_unfit"),
        (sse("", "data: x"), 400, "event_unfit"),
        (Ask::get("/events"), 400, "event_unfit"),
    ] {
        let answer = asked(&fixture, &ask);
        assert_refused(&answer, status, code);
    }
    let refused = asked(&fixture, &Ask::get("/events/news").method("PUT"));
    assert_refused(&refused, 405, "event_method");
    assert_eq!(refused.header("allow"), Some("GET, HEAD, POST, OPTIONS"));
    let history = Subscriber::to(&fixture, "/events/news?lastEventID=earliest");
    assert_eq!(history.behind(), "earliest");
    assert_eq!(fixture.count("firstbyte_events_published_total"), 0);
}

#[test]
fn a_body_without_a_length_is_bounded_too() {
    let fixture = proxy(1, "{ message: 1KiB, bytes: 16KiB }", "");
    let pieces = (0..8).map(|_| bytes::Bytes::from(vec![b'\n'; 256])).collect();
    let ask = sse("news", "").body(pieces, crate::support::message::Length::Unknown);
    assert_refused(&asked(&fixture, &ask), 413, "event_too_large");
}

#[test]
fn an_id_that_an_event_has_already_is_refused_with_all_that_came_with_it() {
    let fixture = proxy(1, "{}", "");
    let mut subscriber = Subscriber::to(&fixture, "/events/news");
    published(&fixture, &sse("news", "id: o-1\ndata: a"));
    let again = asked(&fixture, &sse("news", "data: b\n\nid: o-1\ndata: c"));
    assert_refused(&again, 409, "event_id_taken");
    published(&fixture, &sse("news", "data: d"));
    assert_eq!((subscriber.data(), subscriber.data()), ("a".to_owned(), "d".to_owned()));
}

#[test]
fn http_2_publishes_and_subscribes_on_one_connection() {
    let fixture = proxy(1, "{}", "");
    let mut client = Http2::connect(fixture.address());
    let mut subscription = client.send_head(&Ask::get("/events/news"));
    let mut head = client.head(&mut subscription);
    assert_eq!((head.status, head.header("last-event-id")), (200, Some("earliest")));
    let answer = client.ask(&sse("news", "data: a"));
    assert_eq!(answer.json()["published"], 1);
    let piece = client.piece(&mut subscription, &mut head).expect("an event");
    assert!(piece.ends_with(b"-1\ndata: a\n\n"), "{piece:?}");
    let told = client.ask(&Ask::get("/events/news").method("HEAD"));
    assert_eq!((told.status, told.body().len()), (200, 0));
    assert_eq!(told.header("last-event-id"), answer.json()["id"].as_str());
}
