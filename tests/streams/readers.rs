//! One stream to many readers, each at its own pace, whatever the others do.

use std::time::Duration;

use sha2::{Digest, Sha256};

use super::reconnects::bytes;
use super::upstream::Paced;
use super::{ANYONE, ask, begin, head, proxy, read_up_to, send};
use crate::support::peers::raw_http1::Client;
use crate::support::size::size;

#[test]
fn readers_on_all_workers_get_the_same_bytes_of_one_upstream_request() {
    let upstream = Paced::start("application/octet-stream");
    let fixture = proxy(upstream.address, 4, ANYONE, "");
    let (address, readers) = (fixture.address(), size(24, 200));
    let all = bytes(300_000);
    let (mut first, id) = begin(address, "");
    let mut answer = upstream.next();
    let digests: Vec<_> = std::thread::scope(|scope| {
        let join = |_nth| {
            let mut client = send(address, &format!("GET /streams/{id}"), "");
            let (head, _) = head(&mut client);
            assert!(head.starts_with("http/1.1 200"), "{head}");
            scope.spawn(move || {
                let mut body = Vec::new();
                assert!(client.chunks(&mut body));
                Sha256::digest(&body).to_vec()
            })
        };
        let mut joined: Vec<_> = (0..readers / 2).map(join).collect();
        let pieces: Vec<_> = all.chunks(997).collect();
        for piece in &pieces[..pieces.len() / 2] {
            answer.send(piece);
        }
        joined.extend((0..readers / 2).map(join));
        for piece in &pieces[pieces.len() / 2..] {
            answer.send(piece);
        }
        answer.finish();
        joined.into_iter().map(|reader| reader.join().expect("a reader")).collect()
    });
    let mut body = Vec::new();
    assert!(first.chunks(&mut body));
    let expected = Sha256::digest(&all).to_vec();
    assert_eq!(Sha256::digest(&body).to_vec(), expected);
    assert!(digests.iter().all(|digest| *digest == expected));
    assert_eq!(upstream.asked(), 1);
}

#[test]
fn from_now_begins_at_the_end_of_what_is_there() {
    let upstream = Paced::start("text/event-stream");
    let fixture = proxy(upstream.address, 1, ANYONE, "");
    let (mut first, id) = begin(fixture.address(), "");
    let mut answer = upstream.next();
    answer.send(b"data: a\n\ndata: b");
    read_up_to(&mut first, &mut Vec::new(), 16);
    let mut raw = send(fixture.address(), &format!("GET /streams/{id}?from=now"), "");
    let events = "accept: text/event-stream\r\n";
    let mut events = send(fixture.address(), &format!("GET /streams/{id}?from=now"), events);
    assert!(head(&mut raw).0.contains("last-event-id: 16\r\n"));
    assert!(head(&mut events).0.contains("last-event-id: 9\r\n"), "the event is whole");
    answer.send(b"\n\n");
    answer.finish();
    for (client, expected) in [(&mut raw, "\n\n"), (&mut events, "data: b\nid: 18\n\n")] {
        let mut body = Vec::new();
        assert!(client.chunks(&mut body));
        assert_eq!(String::from_utf8_lossy(&body), expected);
    }
}

#[test]
fn a_reader_that_never_reads_is_dropped_and_holds_up_nobody() {
    let upstream = Paced::start("application/octet-stream");
    let fixture = proxy(upstream.address, 1, "{ anonymous: true, bytes: 256KiB }", "");
    let address = fixture.address();
    let (mut first, id) = begin(address, "");
    let mut answer = upstream.next();
    let mut silent = Client::narrow_to(address);
    std::io::Write::write_all(
        &mut silent.stream,
        format!("GET /streams/{id} HTTP/1.1\r\nhost: localhost\r\n\r\n").as_bytes(),
    )
    .expect("the proxy reads");
    let (head, _) = head(&mut silent);
    assert!(head.starts_with("http/1.1 200"), "{head}");
    let all = bytes(16 << 20);
    let mut body = Vec::new();
    for piece in all.chunks(64 << 10) {
        answer.send(piece);
        // In step, so that only the other one falls behind.
        let sent = body.len() + piece.len();
        read_up_to(&mut first, &mut body, sent);
    }
    answer.finish();
    assert!(first.chunks(&mut body));
    assert_eq!(Sha256::digest(&body), Sha256::digest(&all));
    let mut got = Vec::new();
    assert!(!silent.chunks(&mut got), "it is cut, never ended");
    assert_eq!(got[..], all[..got.len()]);
    let late = ask(address, &format!("GET /streams/{id}?from=16777000"), "");
    assert_eq!((late.status, late.body.len()), (200, 216), "the stream is whole");
    let lines = fixture.access_log();
    let lagged = lines.iter().filter(|line| line["error"] == "stream_reader_lagged");
    assert_eq!(lagged.count(), 1, "{lines:?}");
}

#[test]
fn the_stream_goes_on_without_its_first_client_and_counts_as_in_flight() {
    let upstream = Paced::start("text/event-stream");
    let fixture = proxy(upstream.address, 1, ANYONE, "limits: { streams: 1 }");
    let (mut first, id) = begin(fixture.address(), "");
    let mut answer = upstream.next();
    answer.send(b"data: a\n\n");
    read_up_to(&mut first, &mut Vec::new(), 9);
    drop(first);
    fixture.wait_until("its client has left", |fixture| {
        fixture.count("firstbyte_kept_stream_readers") == 0
    });
    let refused = ask(fixture.address(), "GET /v1/models", "");
    assert_eq!(refused.status, 503, "the pump has the only place");
    answer.send(b"data: b\n\n");
    assert!(!answer.is_gone());
    answer.finish();
    fixture.wait_until("the pump is done", |fixture| {
        fixture.count(r#"firstbyte_kept_streams_ended_total{end="complete"}"#) == 1
    });
    let given = ask(fixture.address(), &format!("GET /streams/{id}"), "");
    assert_eq!(given.text(), "data: a\n\ndata: b\n\n");
    let lines = fixture.access_log();
    let begun = lines.iter().find(|line| line["method"] == "POST").expect("a line");
    assert_eq!(begun["outcome"], "client_gone", "{begun}");
    assert_eq!((&begun["bytes_down"], &begun["bytes_sent"]), (&18.into(), &9.into()), "{begun}");
}

#[test]
fn a_reader_waits_for_a_stream_that_says_nothing_for_longer_than_any_clock_of_its_own() {
    let upstream = Paced::start("text/event-stream");
    let fixture = proxy(upstream.address, 1, ANYONE, "client: { idle: 100ms, body_idle: 100ms }");
    let (_first, id) = begin(fixture.address(), "");
    let mut answer = upstream.next();
    let mut reader = send(fixture.address(), &format!("GET /streams/{id}"), "");
    let (head, _) = head(&mut reader);
    assert!(head.starts_with("http/1.1 200"), "{head}");
    assert!(answer.stays(Duration::from_millis(400)));
    answer.send(b"data: a\n\n");
    answer.finish();
    let mut body = Vec::new();
    assert!(reader.chunks(&mut body));
    assert_eq!(body, b"data: a\n\n");
}
