//! What the operator sees of subscribers, and what can be sent to one.

use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::Value;

use super::{Subscriber, proxy, published, sse};
use crate::support::fixture::{Fixture, PATIENCE};

/// `POST` to the admin listener, with these lines in the head.
fn post(fixture: &Fixture, path: &str, lines: &str, body: &str) -> (u16, String) {
    let address = fixture.proxy.admin().expect("the admin listener is on");
    let mut stream = TcpStream::connect(address).expect("it listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
    write!(
        stream,
        "POST {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{lines}content-length: {}\r\n\r\n{body}",
        body.len()
    )
    .expect("is sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    (status, body.to_owned())
}

fn listed(fixture: &Fixture) -> Value {
    serde_json::from_str(&fixture.admin("/clients").1).expect("JSON")
}

#[test]
fn who_is_connected_where_is_listed_with_what_it_read_last() {
    let fixture = proxy(2, "{}", "");
    assert_eq!(listed(&fixture)["subscribers"], 0);
    let mut one = Subscriber::to(&fixture, "/events/news");
    let _other = Subscriber::to(&fixture, "/events/other");
    let id = published(&fixture, &sse("news", "data: a"));
    one.data();
    let page = listed(&fixture);
    assert_eq!((&page["subscribers"], &page["listed"]), (&2.into(), &2.into()));
    let of = |name: &str| {
        let list = page["list"].as_array().expect("a list");
        list.iter().find(|one| one["name"] == name).expect("a subscriber").clone()
    };
    let news = of("news");
    assert_eq!((&news["route"], &news["last_event_id"]), (&"/events".into(), &id.as_str().into()));
    assert_eq!(Some(news["id"].as_str().unwrap()), one.line("x-firstbyte-request-id"));
    assert!(news["address"].as_str().unwrap().starts_with("127.0.0.1"), "{news}");
    assert_eq!(
        (&news["client"], &of("other")["last_event_id"]),
        (&Value::Null, &"earliest".into())
    );
    let stats: Value = serde_json::from_str(&fixture.admin("/stats").1).expect("JSON");
    let events = &stats["events"][0];
    for (name, count) in [("names", 2), ("subscribers", 2), ("published", 1), ("delivered", 1)] {
        assert_eq!(events[name], count, "{name}: {events}");
    }
    drop(one);
    fixture.wait_until("it left", |fixture| listed(fixture)["subscribers"] == 1);
}

#[test]
fn one_subscriber_is_sent_an_event_alone_by_who_may_change_something() {
    let fixture = proxy(1, "{}", "");
    let mut one = Subscriber::to(&fixture, "/events/news");
    let mut other = Subscriber::to(&fixture, "/events/news");
    let path = format!("/subscribers/{}", one.line("x-firstbyte-request-id").expect("an id"));
    let (meant, kind) = ("x-firstbyte-admin: 1\r\n", "content-type: application/json\r\n");
    let both = format!("{meant}{kind}");
    let body = r#"{"data":"for you","event":"note"}"#;
    assert_eq!(post(&fixture, &path, kind, body).0, 403, "it was not meant");
    assert_eq!(post(&fixture, &path, meant, body).0, 415);
    assert_eq!(post(&fixture, &path, &both, "{}").0, 400);
    assert_eq!(post(&fixture, &path, &both, r#"{"data":"x","id":"y"}"#).0, 400);
    assert_eq!(post(&fixture, "/subscribers/unknown", &both, body).0, 404);
    assert_eq!(fixture.admin(&path).0, 405);
    assert_eq!(post(&fixture, &path, &both, body), (200, "sent\n".to_owned()));
    published(&fixture, &sse("news", "data: for all"));
    assert_eq!(one.event().unwrap(), "event: note\ndata: for you");
    assert_eq!((one.data(), other.data()), ("for all".to_owned(), "for all".to_owned()));
}
