//! A client that loses its connection over and over has each byte once and in order.

use sha2::{Digest, Sha256};

use super::upstream::Paced;
use super::{ANYONE, ask, begin, proxy, read_up_to, send};

/// Bytes that tell where they are from.
pub(crate) fn bytes(count: usize) -> Vec<u8> {
    (0..count).map(|at| ((at * 31 + at / 257) % 251) as u8).collect()
}

/// A small generator: the same numbers each time.
fn numbers(mut seed: u64) -> impl FnMut(usize) -> usize {
    move |below| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as usize % below
    }
}

#[test]
fn a_thousand_reconnects_at_any_offset_give_each_byte_once_and_in_order() {
    let (upstream, count) = (Paced::start("application/octet-stream"), 1000);
    let fixture = proxy(upstream.address, 2, ANYONE, "");
    let address = fixture.address();
    let (first, id) = begin(address, "");
    let mut answer = upstream.next();
    let all = bytes(count * 700);
    let mut number = numbers(7);
    drop(first); // it never reads a byte
    let (mut got, mut sent) = (Vec::new(), 0);
    for _ in 0..count {
        let more = (1 + number(1400)).min(all.len() - sent);
        if more > 0 {
            answer.send(&all[sent..sent + more]);
            sent += more;
        }
        let wanted = got.len() + number(sent - got.len() + 1);
        let mut client = send(address, &format!("GET /streams/{id}?from={}", got.len()), "");
        let (head, _) = super::head(&mut client);
        assert!(head.starts_with("http/1.1 200"), "{head}");
        // What came beyond that is lost with the connection, as it would be.
        let mut body = Vec::new();
        read_up_to(&mut client, &mut body, wanted - got.len());
        body.truncate(wanted - got.len());
        got.extend_from_slice(&body);
    }
    answer.send(&all[sent..]);
    answer.finish();
    let rest = ask(address, &format!("GET /streams/{id}?from={}", got.len()), "");
    assert!(rest.is_whole);
    got.extend_from_slice(&rest.body);
    assert_eq!(got.len(), all.len());
    assert_eq!(Sha256::digest(&got), Sha256::digest(&all));
    assert_eq!(upstream.asked(), 1);
    let resumed = r#"firstbyte_kept_stream_resumes_total{result="ok"}"#;
    assert_eq!(fixture.count(resumed), count as u64 + 1);
}

#[test]
fn what_is_left_of_a_whole_stream_has_its_length_and_its_head() {
    let upstream = Paced::start("text/event-stream; charset=utf-8");
    let fixture = proxy(upstream.address, 1, ANYONE, "");
    let (mut client, id) = begin(fixture.address(), "");
    let mut answer = upstream.next();
    answer.send(b"data: a\n\ndata: b\n\n");
    answer.finish();
    let mut body = Vec::new();
    assert!(client.chunks(&mut body), "the client that began it reads it as any other");
    assert_eq!(body, b"data: a\n\ndata: b\n\n");
    for (method, expected) in [("GET", "\n\ndata: b\n\n"), ("HEAD", "")] {
        let given = ask(fixture.address(), &format!("{method} /streams/{id}?from=7"), "");
        assert_eq!((given.status, given.text().as_str()), (200, expected));
        assert_eq!(given.header("content-type"), Some("text/event-stream; charset=utf-8"));
        assert_eq!(given.header("content-length"), Some("11"));
        assert_eq!(given.header("x-firstbyte-stream"), Some(&*id));
        assert_eq!(given.header("last-event-id"), Some("7"));
        assert_eq!(given.header("cache-control"), Some("no-store"));
    }
    let lines = fixture.access_log();
    assert_eq!(lines.len(), 3);
    for line in lines {
        assert_eq!(line["stream"], id[..8], "{line}");
        assert_eq!(line["outcome"], "complete", "{line}");
        assert!(!line["path"].as_str().is_some_and(|path| path.contains(&id)), "{line}");
    }
}
