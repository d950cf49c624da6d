//! An upstream that breaks off after any byte of its answer, in any way: thousands of cut answers, none
//! of which looks whole, and every byte of which is one that the upstream sent.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use firstbyte::config::Protocol;
use loadtest::random::Random;
use loadtest::upstream::{Cut, NAMED_SCRIPTS, Script, Seen, Step, Upstream};

use crate::support::fixture::Fixture;
use crate::support::peers::raw_upstream::{Reply, frame, http1, http2, lead_to};
use crate::support::peers::{raw_http1, raw_http2};
use crate::support::size;

/// Over both of the raw upstreams and both of the clients' protocols; under TLS there are some more.
const CUTS: usize = 2_000;
const CUTS_IN_FULL: usize = 10_000;

/// Two events, the second of 300 bytes, so that a cut falls within frames, chunks, and their framing.
fn events() -> [Vec<u8>; 2] {
    [b"data: {\"n\":1}\n\n".to_vec(), [b"data: ", &[b'x'; 300][..], b"\n\n"].concat()]
}

/// A whole answer over HTTP/1.1: in chunks, or with its length.
fn whole_http1(chunked: bool) -> Vec<u8> {
    let [first, second] = events();
    if chunked {
        let chunk =
            |event: &[u8]| [format!("{:x}\r\n", event.len()).as_bytes(), event, b"\r\n"].concat();
        let head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
        return [&head[..], &chunk(&first), &chunk(&second), b"0\r\n\r\n"].concat();
    }
    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", first.len() + second.len());
    [head.as_bytes(), &first, &second].concat()
}

/// All but at least its last byte, and the connection's end.
fn cut_http1(nth: usize) -> Reply {
    let whole = whole_http1(nth.is_multiple_of(2));
    let at = Random::new(nth as u64).below(whole.len());
    Reply { bytes: whole[..at].to_vec(), close: true }
}

/// HEADERS, two DATA frames, the end; cut after any byte, or reset or sent away after any frame.
fn cut_http2(nth: usize, stream: u32) -> Reply {
    let mut random = Random::new(nth as u64);
    let [first, second] = events();
    let head = frame(1, 4, stream, &[0x88]); // :status 200, RFC 7541, appendix A
    let frames =
        [head, frame(0, 0, stream, &first), frame(0, 0, stream, &second), frame(0, 1, stream, b"")];
    let begun = frames[..random.below(frames.len())].concat();
    let code = (random.below(14) as u32).to_be_bytes();
    match nth % 3 {
        // After a refusal before the head the request would go out again.
        0 if !begun.is_empty() => {
            Reply { bytes: [begun, frame(3, 0, stream, &code)].concat(), close: false }
        }
        1 if !begun.is_empty() => {
            let last = [stream.to_be_bytes(), code].concat();
            Reply { bytes: [begun, frame(7, 0, 0, &last)].concat(), close: true }
        }
        _ => {
            let whole = frames.concat();
            Reply { bytes: whole[..random.below(whole.len())].to_vec(), close: true }
        }
    }
}

/// How answers of these requests ended.
#[derive(Debug, Default)]
struct Ends {
    /// With the upstream's head, and then a cut.
    cut: usize,
    /// With an answer of our own that says so.
    refused: usize,
}

impl Ends {
    fn add(&mut self, status: u16, body: &[u8], whole: bool, nth: usize) {
        if status == 200 {
            assert!(!whole, "cut {nth} looks like an end after {} bytes", body.len());
            assert!(events().concat().starts_with(body), "cut {nth}: {body:?} was never sent");
            self.cut += 1;
        } else {
            assert!(status == 502 && whole, "cut {nth}: {status}");
            self.refused += 1;
        }
    }
}

/// So many cuts, one after the other, seen by clients of both protocols in turn.
fn cut_over_and_over(fixture: &Fixture, count: usize) -> Ends {
    let mut ends = Ends::default();
    size::block_on(async {
        let client = raw_http2::Client::connect(fixture.address()).await;
        for nth in 0..count {
            let path = format!("/v1/{nth}");
            if nth % 2 == 0 {
                let mut client = raw_http1::Client::connect(fixture);
                client.ask(&path, b"{}");
                let answer = client.answer().unwrap_or_else(|| panic!("cut {nth}: no head"));
                ends.add(answer.status, &answer.body, answer.whole, nth);
            } else {
                let answer = client.ask(&path, b"{}").await.expect("a head");
                ends.add(answer.status, &answer.body, answer.cut.is_none(), nth);
            }
        }
    });
    println!("{ends:?}");
    ends
}

fn in_front_of(upstream: std::net::SocketAddr, protocol: Protocol) -> Fixture {
    Fixture::configured(Upstream::builder().clear(), |config| {
        lead_to(config, upstream, protocol);
    })
}

#[test]
fn an_http1_answer_cut_after_any_byte_is_never_an_end() {
    let asked = Arc::new(AtomicUsize::new(0));
    // Both of the clients' protocols meet both kinds of framing.
    let upstream = http1(move |_| cut_http1(asked.fetch_add(1, Ordering::Relaxed) / 2));
    let fixture = in_front_of(upstream, Protocol::Http1);
    let ends = cut_over_and_over(&fixture, size::size(CUTS, CUTS_IN_FULL) / 2);
    assert!(ends.cut > ends.refused, "most were cut after their heads: {ends:?}");
}

#[test]
fn an_http2_answer_cut_reset_or_sent_away_anywhere_is_never_an_end() {
    let upstream = http2(cut_http2);
    let fixture = in_front_of(upstream, Protocol::Http2);
    let ends = cut_over_and_over(&fixture, size::size(CUTS, CUTS_IN_FULL) / 2);
    assert!(ends.cut > ends.refused, "most were cut after their heads: {ends:?}");
}

/// Under TLS every cut costs a handshake: fewer of them, by the ways that only TLS has among others.
#[test]
fn an_answer_cut_under_tls_is_never_an_end() {
    assert!(NAMED_SCRIPTS.contains(&"no-close-notify"));
    for upstream in [Upstream::builder().http1(), Upstream::builder().http2()] {
        let fixture = Fixture::start(upstream.respond(|seen: &Seen| {
            let [first, second] = events();
            let nth = seen.nth as usize;
            let at = Random::new(seen.nth).below(second.len());
            let script = if nth % 4 < 2 {
                Script::new().stream()
            } else {
                let length = (first.len() + second.len()).to_string();
                Script::new().head(200, &[("content-length", &length)])
            };
            let script = script.body(first).step(Step::Body(second[..at].to_vec().into()));
            script.cut([Cut::NoCloseNotify, Cut::Fin, Cut::Rst][nth / 4 % 3])
        }));
        let ends = cut_over_and_over(&fixture, size::size(CUTS, CUTS_IN_FULL) / 20);
        assert!(ends.cut > ends.refused, "most were cut after their heads: {ends:?}");
    }
}
