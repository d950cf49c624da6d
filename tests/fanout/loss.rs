//! What holds while Redis is lost, and after it came back.

use super::{Subscriber, is_shared, process, publish, published, server, wait_until};
use crate::streams::upstream::Paced;
use crate::streams::{ANYONE, ask, begin, head, read_up_to, send};
use crate::support::program::Program;

fn is_lost(program: &Program) {
    program.wait_until("the loss is seen", |one| one.count("firstbyte_fanout_connected") == 0);
}

#[test]
fn while_redis_is_lost_streams_go_on_here_and_cannot_be_had_elsewhere() {
    let Some(mut server) = server() else { return };
    let upstream = Paced::start("text/event-stream");
    let [one, other] = [0, 1].map(|_| process(&server, upstream.address, ANYONE, ""));
    let (mut client, id) = begin(one.address, "");
    let mut answer = upstream.next();
    answer.send(b"data: a\n\n");
    let mut here = Vec::new();
    read_up_to(&mut client, &mut here, 9);
    server.kill();
    is_lost(&other);
    is_lost(&one);
    answer.send(b"data: b\n\n");
    read_up_to(&mut client, &mut here, 18);
    drop(client);
    let target = format!("GET /streams/{id}?from=9");
    let mut reader = send(one.address, &target, "");
    head(&mut reader);
    let mut again = Vec::new();
    read_up_to(&mut reader, &mut again, 9);
    assert_eq!(again, b"data: b\n\n");
    let elsewhere = ask(other.address, &target, "");
    assert_eq!((elsewhere.status, &*elsewhere.error().0), (503, "shared_store_lost"));
    let (status, text) = publish(&other, "news", None, "x");
    assert!(status == 503 && text.contains("shared_store_lost"), "{status} {text}");
    // It is back, with nothing in it: what comes from then on is there.
    server.restart_empty();
    is_shared(&one);
    is_shared(&other);
    answer.send(b"data: c\n\n");
    read_up_to(&mut reader, &mut again, 18);
    wait_until("it is there", || {
        ask(other.address, &format!("HEAD /streams/{id}?from=27"), "").status == 200
    });
    answer.finish();
    let rest = ask(other.address, &format!("GET /streams/{id}?from=18"), "");
    assert!(rest.is_whole && rest.body == b"data: c\n\n", "{rest:?}");
    published(&other, "news", "x");
}

#[test]
fn a_server_that_comes_back_empty_begins_names_anew_and_gives_nothing_twice() {
    let Some(mut server) = server() else { return };
    let upstream = Paced::start("text/plain");
    let [one, other] = [0, 1].map(|_| process(&server, upstream.address, ANYONE, ""));
    let mut subscriber = Subscriber::new(&other, "news", "");
    let before = published(&one, "news", "before");
    assert_eq!(subscriber.next().id, before);
    server.kill();
    is_lost(&one);
    is_lost(&other);
    server.restart_empty();
    is_shared(&one);
    is_shared(&other);
    let after = published(&one, "news", "after");
    let given = subscriber.next();
    assert_eq!((&*given.data, &given.id), ("after", &after), "it goes on, and has nothing twice");
    assert_ne!(before[..16], after[..16], "another epoch");
    // Who was away is told that something is missing.
    let lines = format!("last-event-id: {before}\r\n");
    let mut late = Subscriber::new(&other, "news", &lines);
    assert_ne!(late.header("last-event-id"), before);
    assert_eq!(late.next().data, "after");
}

#[test]
fn a_server_that_was_only_silent_costs_no_event_and_no_stream() {
    let Some(server) = server() else { return };
    let upstream = Paced::start("text/plain");
    let [one, other] = [0, 1].map(|_| process(&server, upstream.address, ANYONE, ""));
    let mut subscriber = Subscriber::new(&other, "news", "");
    published(&one, "news", "1");
    let (_client, id) = begin(one.address, "");
    let mut answer = upstream.next();
    answer.send(b"a");
    let mut reader = send(other.address, &format!("GET /streams/{id}"), "");
    head(&mut reader);
    server.pause();
    answer.send(b"b");
    is_lost(&other);
    is_lost(&one);
    server.go_on();
    is_shared(&one);
    is_shared(&other);
    published(&one, "news", "2");
    answer.finish();
    let mut body = Vec::new();
    assert!(reader.chunks(&mut body), "it is whole");
    assert_eq!(body, b"ab");
    let given: Vec<_> = subscriber.take(2).into_iter().map(|event| event.data).collect();
    assert_eq!(given, ["1", "2"]);
}
