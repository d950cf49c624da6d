//! How streams end: stopped, cut, given up, expired; and what is told of that afterwards.

use std::time::{Duration, Instant};

use super::upstream::Paced;
use super::{ANYONE, ask, begin, head, proxy, read_up_to, send};
use crate::support::fixture::Fixture;

fn ended(fixture: &Fixture, how: &str) -> u64 {
    fixture.count(&format!("firstbyte_kept_streams_ended_total{{end=\"{how}\"}}"))
}

#[test]
fn delete_cancels_upstream_and_is_answered_the_same_again() {
    let upstream = Paced::start("text/event-stream");
    let fixture = proxy(upstream.address, 2, ANYONE, "");
    let (mut client, id) = begin(fixture.address(), "");
    let mut answer = upstream.next();
    answer.send(b"data: a\n\n");
    let mut body = Vec::new();
    read_up_to(&mut client, &mut body, 9);
    for _ in 0..2 {
        let given = ask(fixture.address(), &format!("DELETE /streams/{id}"), "");
        assert_eq!((given.status, given.body.len()), (204, 0));
    }
    assert!(answer.wait_gone(), "the upstream is told");
    assert!(!client.chunks(&mut body), "who reads it is cut off");
    let given = ask(fixture.address(), &format!("GET /streams/{id}"), "");
    assert_eq!((given.text().as_str(), given.is_whole), ("data: a\n\n", false));
    assert_eq!((ended(&fixture, "stopped"), ended(&fixture, "cut")), (1, 0));
    let lines = fixture.access_log();
    let begun = lines.iter().find(|line| line["method"] == "POST").expect("a line");
    assert_eq!(
        (&begun["outcome"], &begun["error"]),
        (&"client_gone".into(), &"stream_stopped".into())
    );
}

#[test]
fn a_stream_that_was_cut_never_looks_like_one_that_ended() {
    let upstream = Paced::start("text/event-stream");
    let fixture = proxy(upstream.address, 1, ANYONE, "");
    let (mut client, id) = begin(fixture.address(), "");
    let mut answer = upstream.next();
    answer.send(b"data: a\n\n");
    read_up_to(&mut client, &mut Vec::new(), 9);
    answer.cut();
    assert!(!client.chunks(&mut Vec::new()));
    for lines in ["", "accept: text/event-stream\r\n"] {
        for from in [0, 9] {
            let given = ask(fixture.address(), &format!("GET /streams/{id}?from={from}"), lines);
            assert_eq!((given.status, given.is_whole), (200, false), "{given:?}");
        }
    }
    assert_eq!(ended(&fixture, "cut"), 1);
    let failures = fixture.count("firstbyte_upstream_failures_total");
    assert_eq!(failures, 1, "once, whoever read it");
    let lines = fixture.access_log();
    assert!(lines.len() >= 2, "{lines:?}");
    for line in lines {
        assert_eq!(line["outcome"], "upstream_failed", "{line}");
        let told = if line["method"] == "POST" { "upstream_cut" } else { "stream_cut" };
        assert_eq!(line["error"], told, "{line}");
    }
}

#[test]
fn a_stream_that_nobody_reads_is_given_up_and_one_that_ended_is_forgotten() {
    let upstream = Paced::start("text/event-stream");
    let resume = "{ anonymous: true, detached: 300ms, ttl: 5s }";
    let fixture = proxy(upstream.address, 1, resume, "");
    let (client, id) = begin(fixture.address(), "");
    let mut answer = upstream.next();
    answer.send(b"data: a\n\n");
    let mut reader = send(fixture.address(), &format!("GET /streams/{id}"), "");
    head(&mut reader);
    drop(client);
    assert!(answer.stays(Duration::from_millis(500)), "somebody reads it");
    let left = Instant::now();
    drop(reader);
    assert!(answer.wait_gone(), "the upstream is cancelled");
    assert!(left.elapsed() >= Duration::from_millis(250), "not before its time");
    fixture.wait_until("it is counted", |fixture| ended(fixture, "abandoned") == 1);
    let given = ask(fixture.address(), &format!("GET /streams/{id}"), "");
    assert_eq!((given.text().as_str(), given.is_whole), ("data: a\n\n", false));
    fixture.wait_until("it is forgotten", |fixture| fixture.count("firstbyte_kept_streams") == 0);
    assert_eq!(ask(fixture.address(), &format!("GET /streams/{id}"), "").status, 404);
    assert_eq!(ask(fixture.address(), &format!("DELETE /streams/{id}"), "").status, 404);
    fixture.wait_until("nothing is held of it", |fixture| {
        fixture.count("firstbyte_kept_stream_bytes") == 0
    });
}

#[test]
fn a_drain_gives_up_what_nobody_reads_and_waits_for_who_does() {
    let upstream = Paced::start("text/event-stream");
    let fixture = proxy(upstream.address, 2, ANYONE, "");
    let (unread, _) = begin(fixture.address(), "");
    let mut given_up = upstream.next();
    given_up.send(b"data: a\n\n");
    let (first, id) = begin(fixture.address(), "");
    let mut answer = upstream.next();
    let mut reader = send(fixture.address(), &format!("GET /streams/{id}"), "");
    head(&mut reader);
    drop((unread, first));
    fixture.wait_until("one reader is left", |fixture| {
        fixture.count("firstbyte_kept_stream_readers") == 1
    });
    fixture.proxy.drain();
    assert!(given_up.wait_gone(), "nobody can come back to it");
    answer.send(b"data: b\n\n");
    answer.finish();
    let mut body = Vec::new();
    assert!(reader.chunks(&mut body), "a reader gets all of it");
    assert_eq!(body, b"data: b\n\n");
}
