//! A stream that one process reads is read and stopped at any other, and nobody is told more than was there.

use super::{Redis, each_server, process, server, wait_until};
use crate::keys::key;
use crate::streams::upstream::Paced;
use crate::streams::{ANYONE, ask, begin, head, read_up_to, send};
use crate::support::program::Program;

fn two(server: &Redis, upstream: &Paced) -> [Program; 2] {
    [0, 1].map(|_| process(server, upstream.address, ANYONE, ""))
}

fn events(from: usize, to: usize) -> Vec<u8> {
    (from..to).flat_map(|nth| format!("data: {nth}\n\n").into_bytes()).collect()
}

#[test]
fn a_stream_is_read_at_another_process_while_it_comes_and_when_it_is_over() {
    for server in each_server() {
        let upstream = Paced::start("text/event-stream");
        let [one, other] = two(&server, &upstream);
        let (mut client, id) = begin(one.address, "");
        let mut answer = upstream.next();
        let all = events(0, 3000);
        let (first, last) = all.split_at(10_000);
        answer.send(first);
        let (mut here, mut there) = (Vec::new(), Vec::new());
        read_up_to(&mut client, &mut here, first.len());
        // Its client comes back to the other process, where it was: that may hear of these bytes a little later.
        let mut reader = send(other.address, &format!("GET /streams/{id}?from=9000"), "");
        let (reader_head, told) = head(&mut reader);
        assert!(reader_head.starts_with("http/1.1 200"), "{reader_head}");
        assert_eq!(told.as_deref(), Some(&*id));
        assert!(reader_head.contains("content-type: text/event-stream"), "{reader_head}");
        for piece in last.chunks(999) {
            answer.send(piece);
        }
        answer.finish();
        assert!(reader.chunks(&mut there), "it is whole");
        assert!(there == all[9000..], "{} bytes", there.len());
        assert!(client.chunks(&mut here) && here == all);
        let whole = ask(other.address, &format!("GET /streams/{id}"), "");
        assert!(whole.is_whole && whole.body == all);
        let by_event =
            format!("accept: text/event-stream\r\nlast-event-id: {}\r\n", all.len() - 12);
        let events = ask(other.address, &format!("GET /streams/{id}"), &by_event);
        assert_eq!(events.text(), format!("data: 2999\nid: {}\n\n", all.len()));
        assert_eq!(upstream.asked(), 1);
    }
}

#[test]
fn what_a_killed_process_had_written_is_read_elsewhere_and_ends_cut() {
    let Some(server) = server() else { return };
    let upstream = Paced::start("text/event-stream");
    let [one, other] = two(&server, &upstream);
    let (mut client, id) = begin(one.address, "");
    let mut answer = upstream.next();
    let all = events(0, 100);
    answer.send(&all);
    read_up_to(&mut client, &mut Vec::new(), all.len());
    let key = format!("{{firstbyte}}:s:{id}");
    wait_until("it is written", || server.command(&["XLEN", &key]) != "0");
    let mut reader = send(other.address, &format!("GET /streams/{id}"), "");
    head(&mut reader);
    drop(one);
    let mut body = Vec::new();
    assert!(!reader.chunks(&mut body), "nobody takes it for whole");
    assert!(body == all, "{} bytes", body.len());
    // Who comes later is told the same.
    let late = ask(other.address, &format!("GET /streams/{id}?from=9"), "");
    assert!(!late.is_whole && late.body == all[9..]);
}

#[test]
fn a_process_that_comes_after_the_kill_serves_what_there_is() {
    let Some(server) = server() else { return };
    let upstream = Paced::start("text/plain");
    let [one, other] = two(&server, &upstream);
    let (mut client, id) = begin(one.address, "");
    let mut answer = upstream.next();
    answer.send(&vec![b'x'; 70_000]);
    read_up_to(&mut client, &mut Vec::new(), 70_000);
    let key = format!("{{firstbyte}}:s:{id}");
    wait_until("it is written", || {
        server.command(&["XREVRANGE", &key, "+", "-"]).starts_with("70000-0")
    });
    drop(one);
    let given = ask(other.address, &format!("GET /streams/{id}"), "");
    assert_eq!((given.body.len(), given.is_whole), (70_000, false));
}

#[test]
fn a_delete_at_another_process_cancels_the_upstream() {
    let Some(server) = server() else { return };
    let upstream = Paced::start("text/event-stream");
    let [one, other] = two(&server, &upstream);
    let (mut client, id) = begin(one.address, "");
    let mut answer = upstream.next();
    answer.send(b"data: a\n\n");
    assert_eq!(ask(other.address, &format!("DELETE /streams/{id}"), "").status, 204);
    assert!(answer.wait_gone(), "its upstream is cancelled");
    let mut body = Vec::new();
    assert!(!client.chunks(&mut body), "its first client sees a cut");
    assert_eq!(ask(other.address, &format!("DELETE /streams/{id}"), "").status, 204);
    assert!(!ask(one.address, &format!("GET /streams/{id}"), "").is_whole);
    assert!(!ask(other.address, &format!("GET /streams/{id}"), "").is_whole);
}

#[test]
fn another_clients_stream_and_one_that_nobody_has_are_not_found() {
    let Some(server) = server() else { return };
    let upstream = Paced::start("text/event-stream");
    let more = format!(
        "clients:\n  - {{ name: a, key: {} }}\n  - {{ name: b, key: {} }}\n",
        key("a"),
        key("b")
    );
    let [one, other] = [0, 1].map(|_| process(&server, upstream.address, "{}", &more));
    let by = |name: &str| format!("authorization: Bearer {}\r\n", key(name));
    let (_client, id) = begin(one.address, &by("a"));
    let mut answer = upstream.next();
    answer.send(b"data: a\n\n");
    let target = format!("GET /streams/{id}");
    let foreign = ask(other.address, &target, &by("b"));
    let unknown = ask(other.address, &format!("GET /streams/{}", "0".repeat(32)), &by("a"));
    assert_eq!((foreign.status, unknown.status), (404, 404));
    assert_eq!(foreign.error(), unknown.error());
    let delete = ask(other.address, &format!("DELETE /streams/{id}"), &by("b"));
    assert_eq!(delete.status, 404);
    answer.finish();
    let mine = ask(other.address, &target, &by("a"));
    assert_eq!((mine.is_whole, &*mine.text()), (true, "data: a\n\n"), "it was not stopped");
    // No key of a client gets there.
    let meta = server.command(&["HGETALL", &format!("{{firstbyte}}:m:{id}")]);
    assert!(meta.contains("client a") && !meta.contains(&key("a")), "{meta}");
}

#[test]
fn a_reader_elsewhere_keeps_a_stream_from_being_given_up() {
    let Some(server) = server() else { return };
    let upstream = Paced::start("text/plain");
    let resume = "{ anonymous: true, detached: 3s }";
    let [one, other] = [0, 1].map(|_| process(&server, upstream.address, resume, ""));
    let (client, id) = begin(one.address, "");
    let mut answer = upstream.next();
    let (unread, _) = begin(one.address, "");
    let mut witness = upstream.next();
    let mut reader = send(other.address, &format!("GET /streams/{id}"), "");
    head(&mut reader);
    drop((client, unread));
    assert!(witness.wait_gone(), "it lives no longer unread");
    let abandoned = "firstbyte_kept_streams_ended_total{end=\"abandoned\"}";
    one.wait_until("it is counted", |one| one.count(abandoned) == 1);
    answer.send(b"still");
    let mut body = Vec::new();
    read_up_to(&mut reader, &mut body, 5);
    assert_eq!(body, b"still");
    drop(reader);
    assert!(answer.wait_gone(), "nobody reads it any more");
}

#[test]
fn of_a_stream_that_is_longer_than_its_ring_its_newest_part_is_read_elsewhere() {
    let Some(server) = server() else { return };
    let upstream = Paced::start("text/plain");
    // Rings shrink while memory is short, which it is not within this.
    let memory = "limits: { memory: 4GiB }";
    let [one, other] = [0, 1]
        .map(|_| process(&server, upstream.address, "{ anonymous: true, bytes: 256KiB }", memory));
    let (mut client, id) = begin(one.address, "");
    let mut answer = upstream.next();
    let all: Vec<u8> = (0..1_200_000_u32).map(|nth| b'a' + (nth % 23) as u8).collect();
    let (mut here, key) = (Vec::new(), format!("{{firstbyte}}:s:{id}"));
    for piece in all.chunks(20_000) {
        answer.send(piece);
        let count = here.len() + piece.len();
        read_up_to(&mut client, &mut here, count);
        // No faster than Redis is told on a busy machine: the ring is small.
        wait_until("it is written", || {
            let last = server.command(&["XREVRANGE", &key, "+", "-", "COUNT", "1"]);
            last.starts_with(&format!("{count}-0"))
        });
    }
    answer.finish();
    let lost = ask(other.address, &format!("GET /streams/{id}"), "");
    assert_eq!((lost.status, &*lost.error().0), (410, "stream_offset_lost"));
    let smallest: usize =
        lost.header("x-firstbyte-offset").and_then(|text| text.parse().ok()).expect("an offset");
    let rest = ask(other.address, &format!("GET /streams/{id}?from={smallest}"), "");
    assert!(rest.is_whole && rest.body == all[smallest..], "{smallest}");
    assert!((240_000..=400_000).contains(&rest.body.len()), "{}", rest.body.len());
}
