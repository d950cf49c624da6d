//! What keeping takes, and where it stops: memory, and streams for one client.

use super::upstream::Paced;
use super::{ask, begin, head, proxy, send};
use crate::support::fixture::Fixture;

/// Asks to be kept; whether it is.
fn asks(fixture: &Fixture) -> bool {
    let lines = "x-firstbyte-resume: 1\r\ncontent-length: 0\r\n";
    let mut client = send(fixture.address(), "POST /v1/chat/completions", lines);
    let (told, id) = head(&mut client);
    assert!(told.starts_with("http/1.1 200"), "{told}");
    id.is_some()
}

#[test]
fn a_client_has_so_many_streams_and_one_more_is_answered_and_not_kept() {
    let upstream = Paced::start("text/event-stream");
    let fixture = proxy(upstream.address, 1, "{ anonymous: true, streams: 2 }", "");
    let (one, oldest) = begin(fixture.address(), "");
    let first = upstream.next();
    let (_other, _) = begin(fixture.address(), "");
    let _second = upstream.next();
    assert!(!asks(&fixture), "both run");
    let mut unkept = upstream.next();
    assert!(unkept.wait_gone(), "who left an answer that is not kept has left it upstream too");
    first.finish();
    fixture.wait_until("one has ended", |fixture| {
        fixture.count(r#"firstbyte_kept_streams_ended_total{end="complete"}"#) == 1
            && fixture.count("firstbyte_kept_stream_readers") <= 2
    });
    drop(one);
    fixture.wait_until("nobody reads it", |fixture| {
        fixture.count("firstbyte_kept_stream_readers") == 1
    });
    assert!(asks(&fixture), "the one that ended gives way");
    assert_eq!(ask(fixture.address(), &format!("GET /streams/{oldest}"), "").status, 404);
    assert_eq!(fixture.count("firstbyte_kept_streams"), 2);
}

#[test]
fn the_ring_is_what_is_counted_and_stays_within_its_bound() {
    let upstream = Paced::start("application/octet-stream");
    let fixture = proxy(upstream.address, 1, "{ anonymous: true, bytes: 1MiB }", "");
    let (client, _) = begin(fixture.address(), "");
    let mut answer = upstream.next();
    drop(client);
    let piece = vec![b'x'; 64 << 10];
    for _ in 0..64 {
        answer.send(&piece);
    }
    fixture.wait_until("it is full", |fixture| {
        fixture.count("firstbyte_kept_stream_bytes") > 900 << 10
    });
    answer.finish();
    fixture.wait_until("all was read", |fixture| {
        fixture.count(r#"firstbyte_kept_streams_ended_total{end="complete"}"#) == 1
    });
    assert!(fixture.count("firstbyte_kept_stream_bytes") <= 1100 << 10);
    let stats: serde_json::Value = serde_json::from_str(&fixture.admin("/stats").1).expect("JSON");
    assert_eq!(stats["kept_streams"]["streams"], 1, "{stats}");
    assert_eq!(stats["kept_streams"]["ended"]["complete"], 1, "{stats}");
}
