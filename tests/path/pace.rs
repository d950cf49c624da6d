//! Peers that send or take in the smallest steps, and what is large in many of them.

use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use firstbyte::config::Protocol;
use loadtest::random::Random;
use loadtest::upstream::{Script, Upstream};

use crate::support::fixture::Fixture;
use crate::support::message::{Ask, Length};
use crate::support::pairing::{ORIGINS, upstream};
use crate::support::peers::http1_client::Http1;
use crate::support::peers::raw_http1::{Client, line};
use crate::support::peers::raw_upstream::{Reply, frame, http2_frames, lead_to};
use crate::support::splits::{events, sha256};

const MIB: usize = 1024 * 1024;

#[test]
fn a_megabyte_in_chunks_of_one_byte_arrives_as_it_is() {
    let body = events(&mut Random::new(1), MIB);
    let coded = chunks_of_one_byte(&body);
    let fixture = Fixture::start(upstream());
    let mut client = Http1::new(fixture.connect());
    let ask = Ask::post("/v1/files", "").body(Vec::new(), Length::Unknown);
    client.send_head(&ask);
    client.write(&coded);
    assert_eq!(client.answer(&ask).status, 200);
    let log = fixture.upstream.log();
    assert_eq!(log.requests[0].body_sha256, Some(sha256(&[body])));
    // And the connection is in step.
    assert_eq!(client.ask(&Ask::get("/v1/models")).status, 200);
}

/// As many frames as bytes would make a server end the connection, and with it other clients' streams.
#[test]
fn chunks_of_one_byte_that_are_there_together_go_up_as_few_frames() {
    let (frames, bytes) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (seen, taken) = (Arc::clone(&frames), Arc::clone(&bytes));
    let upstream = http2_frames(&frame(4, 0, 0, b""), move |kind, flags, stream, payload| {
        let bytes = match (kind, flags & 1) {
            (4, 0) => frame(4, 1, 0, b""),
            (6, 0) => frame(6, 1, 0, payload),
            (0, end) => {
                seen.fetch_add(1, Ordering::Relaxed);
                taken.fetch_add(payload.len(), Ordering::Relaxed);
                if end == 1 { frame(1, 5, stream, &[0x88]) } else { Vec::new() }
            }
            _ => Vec::new(),
        };
        Reply { bytes, close: false }
    });
    let fixture = Fixture::configured(Upstream::builder().clear(), |config| {
        lead_to(config, upstream, Protocol::Http2);
    });
    let body = vec![b'x'; 60_000]; // less than a stream's window: nobody opens it
    let mut client = Http1::new(fixture.connect());
    let ask = Ask::post("/v1/files", "").body(Vec::new(), Length::Unknown);
    client.send_head(&ask);
    client.write(&chunks_of_one_byte(&body));
    assert_eq!(client.answer(&ask).status, 200);
    assert_eq!(bytes.load(Ordering::Relaxed), body.len());
    let frames = frames.load(Ordering::Relaxed);
    assert!(frames < body.len() / 100, "{frames} frames");
}

fn chunks_of_one_byte(body: &[u8]) -> Vec<u8> {
    let mut coded = Vec::with_capacity(6 * body.len() + 5);
    for byte in body {
        coded.extend_from_slice(&[b'1', b'\r', b'\n', *byte, b'\r', b'\n']);
    }
    coded.extend_from_slice(b"0\r\n\r\n");
    coded
}

#[test]
fn a_head_of_64_kib_byte_by_byte_is_served() {
    let fixture = Fixture::start(Upstream::builder().script(Script::new().answer(200, &[], "{}")));
    let mut client = Client::connect(&fixture);
    let head = "GET /v1/x HTTP/1.1\r\nhost: a\r\nx: ";
    let filler = "y".repeat(64 * 1024 - head.len() - 4);
    for _ in 0..2 {
        for byte in format!("{head}{filler}\r\n\r\n").as_bytes().chunks(1) {
            client.stream.write_all(byte).expect("the proxy reads");
        }
        assert_eq!(client.answer().expect("an answer").status, 200);
        let log = fixture.upstream.log();
        let seen = log.requests.last().and_then(|seen| seen.header("x"));
        assert_eq!(seen, Some(&filler[..]));
    }
}

/// Frames of 16 to 64 KiB are handed to the socket where they lie, and one write takes a part of one.
#[test]
fn a_slow_reader_of_large_frames_gets_every_byte_of_them() {
    let mut random = Random::new(3);
    let mut sizes: Vec<usize> = (0..40).map(|_| 16 * 1024 + random.below(48 * 1024)).collect();
    sizes.push(48 * 1024); // in whole DATA frames: over HTTP/2 the end comes with a large one
    let frames: Vec<Bytes> = sizes.iter().map(|size| events(&mut random, *size)).collect();
    let total: usize = sizes.iter().sum();
    for origin in ORIGINS {
        for sized in [false, true] {
            let length = total.to_string();
            let lines = [("content-length", length.as_str())];
            let head = Script::new().head(200, if sized { &lines } else { &[] });
            let script = frames.iter().fold(head, |script, frame| script.body(frame.clone()));
            let fixture = origin.fixture(Upstream::builder().script(script.finish()));
            let mut client = Client::narrow(&fixture);
            client.ask("/v1/x", b"");
            let head = client.head().expect("an answer");
            assert_eq!(line(&head, "content-length").is_some(), sized);
            let mut came = Vec::new();
            if sized {
                came.resize(total, 0);
                for part in came.chunks_mut(700) {
                    client.read_exact(part);
                }
            } else {
                assert!(client.chunks(&mut came), "it has an end");
            }
            assert_eq!(sha256(&[came.into()]), sha256(&frames), "{origin:?}, sized: {sized}");
            client.ask("/v1/x", b"");
            assert!(client.head().is_some(), "the connection is in step");
        }
    }
}

/// What was answered without a look at the body is there for a client that is still sending: an orderly
/// end, and no reset.
#[test]
fn a_client_that_is_still_sending_reads_why_it_was_refused() {
    let fixture = Fixture::start(upstream());
    let mut client = Client::connect(&fixture);
    let head = "POST /v1/x HTTP/1.1\r\nhost: a\r\nhost: b\r\ncontent-length: 300000\r\n\r\n";
    client.stream.write_all(head.as_bytes()).expect("the proxy reads");
    let answer = client.answer().expect("an answer");
    assert_eq!((answer.status, answer.whole), (400, true));
    let mut rest = Vec::new();
    assert_eq!(client.stream.read_to_end(&mut rest).expect("an orderly end"), 0);
    for _ in 0..30 {
        // Time enough for the proxy to close, if it would.
        assert_eq!(fixture.admin("/livez").0, 200);
        client.stream.write_all(&[b'x'; 10_000]).expect("the proxy still reads");
    }
}
