//! An upstream that breaks off: the client gets every byte that came before, and never an end.

use std::time::Duration;

use firstbyte::config::Protocol;
use h2::Reason;
use loadtest::upstream::{Cut, Goaway, Head, Log, Script, Seen, Step, Upstream};

use crate::support::fixture::{Fixture, PATIENCE};
use crate::support::peers::raw_http1::{self, Answer};
use crate::support::peers::raw_http2;
use crate::support::peers::raw_upstream::{Reply, frame, http1, http2, lead_to};

const FIRST: &str = "data: {\"n\":1}\n\n";
const SECOND: &str = "data: {\"n\":2}\n\n";
/// The chunk that a cut within a chunk leaves behind.
const PART: &[u8] = &[b'x'; 100];

/// Ways to break off that every protocol has.
const ANY: [&str; 6] = ["fin", "rst", "mid-frame", "no-close-notify", "short", "short-fin"];
/// Ways that only HTTP/1.1 has.
const HTTP1: [&str; 3] = ["bad-chunk", "until-close-rst", "half-length"];
/// Ways that only HTTP/2 has.
const HTTP2: [&str; 3] = ["goaway-fin", "goaway-error", "reset"];

/// The path is the way to break off, and how long after the last byte, in milliseconds.
fn script(seen: &Seen) -> Script {
    let mut parts = seen.path_only().trim_start_matches("/v1/").split('/');
    let way = parts.next().unwrap_or_default();
    let wait = parts.next().and_then(|wait| wait.parse().ok()).unwrap_or(0);
    let code = parts.next().and_then(|code| code.parse().ok()).unwrap_or(0);
    let script = match way {
        "short" | "short-fin" => Script::new().head(200, &[("content-length", "1000")]),
        "until-close-rst" | "until-close-no-close-notify" => {
            Script::new().step(Step::Head(Head { until_close: true, ..Head::new(200) }))
        }
        _ => Script::new().stream(),
    };
    let script = script.body(FIRST).body(SECOND);
    let script = if wait > 0 { script.wait(Duration::from_millis(wait)) } else { script };
    match way {
        "fin" | "short-fin" => script.cut(Cut::Fin),
        "rst" | "until-close-rst" => script.cut(Cut::Rst),
        "mid-frame" => script.cut(Cut::MidFrame),
        "no-close-notify" | "until-close-no-close-notify" => script.cut(Cut::NoCloseNotify),
        "bad-chunk" => script.step(Step::Wire("zz\r\n".into())).stall(),
        "half-length" => script.step(Step::Wire("4".into())).cut(Cut::Fin),
        "goaway-fin" => script.goaway(Goaway::AfterThis).cut(Cut::Fin),
        "goaway-error" => script.goaway(Goaway::Error).cut(Cut::Fin),
        "reset" => script.reset(code),
        // An end on a DATA frame of its own: one that belies the length makes the frame that it rides
        // on malformed with its bytes (RFC 9113, section 8.1.1).
        "whole" | "short" => script.step(Step::FinishSeparately),
        other => Script::new().error(400, "unknown", None, other),
    }
}

/// Asks for `path` in both protocols: what came, and whether it looked like an end.
fn ask(fixture: &Fixture, path: &str) -> [(u16, String, bool); 2] {
    let mut client = raw_http1::Client::connect(fixture);
    client.ask(path, b"");
    let old: Answer = client.answer().unwrap_or_else(|| panic!("{path}: no head over HTTP/1.1"));
    let new = raw_http2::block_on(async {
        let client = raw_http2::Client::connect(fixture.address()).await;
        client.ask(path, b"").await.unwrap_or_else(|error| panic!("{path}: {error} over HTTP/2"))
    });
    let text = String::from_utf8_lossy(&new.body).into_owned();
    [(old.status, old.text(), old.whole), (new.status, text, new.cut.is_none())]
}

fn assert_cut(fixture: &Fixture, path: &str) {
    for (version, (status, body, ended)) in ["HTTP/1.1", "HTTP/2"].iter().zip(ask(fixture, path)) {
        let sent = body.strip_prefix(FIRST).and_then(|rest| rest.strip_prefix(SECOND));
        let sent = sent.map(str::as_bytes);
        assert_eq!(status, 200, "{path} over {version}");
        assert!(matches!(sent, Some(b"" | PART)), "{path} over {version}: {body:?} came");
        assert!(!ended, "{path} over {version} looks like an end");
    }
}

/// Each way at once after the last byte and a while after it, and beside them one that ends.
fn break_off(fixture: Fixture, ways: &[String]) {
    for way in ways {
        assert_cut(&fixture, &format!("/v1/{way}"));
    }
    for (version, (status, body, ended)) in
        ["HTTP/1.1", "HTTP/2"].iter().zip(ask(&fixture, "/v1/whole"))
    {
        assert_eq!(
            (status, body.as_str(), ended),
            (200, "data: {\"n\":1}\n\ndata: {\"n\":2}\n\n", true),
            "{version}"
        );
    }
    let lines = fixture.access_log();
    assert_eq!(lines.len(), 2 * (ways.len() + 1), "each request is recorded once");
    for line in lines {
        let path = line["path"].as_str().expect("a path");
        let (outcome, error) = if path == "/v1/whole" {
            ("complete", serde_json::Value::Null)
        } else {
            ("upstream_failed", "upstream_cut".into())
        };
        assert_eq!(line["outcome"], outcome, "{line}");
        assert_eq!(line["error"], error, "{line}");
    }
}

/// Every way without a wait and with one.
fn both(ways: &[&str]) -> Vec<String> {
    ways.iter().flat_map(|way| [format!("{way}/0"), format!("{way}/20")]).collect()
}

#[test]
fn an_http1_upstream_that_breaks_off_in_clear_is_never_an_end() {
    let fixture = Fixture::start(Upstream::builder().clear().http1().respond(script));
    break_off(fixture, &both(&[&ANY[..], &HTTP1[..]].concat()));
}

#[test]
fn an_http1_upstream_that_breaks_off_under_tls_is_never_an_end() {
    let fixture = Fixture::start(Upstream::builder().http1().respond(script));
    let mut ways = [&ANY[..], &HTTP1[..]].concat();
    // Only under TLS does a FIN that ends a body say whether it was meant (RFC 9112, section 9.8).
    ways.push("until-close-no-close-notify");
    break_off(fixture, &both(&ways));
}

#[test]
fn an_http2_upstream_that_breaks_off_is_never_an_end() {
    let fixture = Fixture::start(Upstream::builder().http2().respond(script));
    let mut ways = both(&[&ANY[..], &HTTP2[..2]].concat());
    // Every code of RFC 9113, section 7, NO_ERROR among them, which is not an end either; and one
    // that nobody knows.
    ways.extend((0..=13).chain([0xff]).map(|code| format!("{}/20/{code}", HTTP2[2])));
    break_off(fixture, &ways);
}

#[test]
fn an_http2_upstream_that_breaks_off_in_clear_is_never_an_end() {
    let builder = Upstream::builder().clear().http2().respond(script);
    let fixture = Fixture::configured(builder, |config| {
        config.upstreams[0].protocol = Protocol::Http2;
    });
    break_off(fixture, &both(&[&ANY[..], &HTTP2[..2]].concat()));
}

/// What an HTTP/1.1 upstream writes at once, head and fault together.
fn one_segment_http1(path: &str) -> Reply {
    let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nf\r\ndata: {\"n\":1}\n\n\r\nf\r\ndata: {\"n\":2}\n\n\r\n";
    let sized =
        "HTTP/1.1 200 OK\r\ncontent-length: 90\r\n\r\ndata: {\"n\":1}\n\ndata: {\"n\":2}\n\n";
    let whole =
        "HTTP/1.1 200 OK\r\ncontent-length: 30\r\n\r\ndata: {\"n\":1}\n\ndata: {\"n\":2}\n\n";
    let (text, fault): (&str, &[u8]) = match path {
        "/v1/fin" => (chunked, b""),
        "/v1/bad-chunk" => (chunked, b"zz\r\n"),
        "/v1/mid-chunk" => (chunked, &[b"400\r\n", PART].concat()),
        "/v1/bad-end" => (chunked, b"0\r\nx"),
        "/v1/short" => (sized, b""),
        _ => (whole, b""),
    };
    // What breaks the protocol needs no end of the connection to be seen.
    let close = !matches!(path, "/v1/bad-chunk" | "/v1/whole");
    Reply { bytes: [text.as_bytes(), fault].concat(), close }
}

#[test]
fn bytes_and_fault_in_one_segment_of_http1_lose_no_byte_and_make_no_end() {
    let upstream = http1(one_segment_http1);
    let fixture = Fixture::configured(Upstream::builder().clear(), |config| {
        lead_to(config, upstream, Protocol::Http1);
    });
    let ways = ["fin", "bad-chunk", "mid-chunk", "bad-end", "short"];
    break_off(fixture, &ways.map(str::to_owned));
}

/// What an HTTP/2 upstream writes at once: HEADERS, two DATA frames, and the fault.
fn one_segment_http2(nth: usize, stream: u32) -> Reply {
    let mut bytes = frame(1, 4, stream, &[0x88]); // :status 200, RFC 7541, appendix A
    bytes.extend(frame(0, 0, stream, FIRST.as_bytes()));
    bytes.extend(frame(0, 0, stream, SECOND.as_bytes()));
    let reset = |code: u32| frame(3, 0, stream, &code.to_be_bytes());
    let goaway = [stream.to_be_bytes(), u32::from(Reason::NO_ERROR).to_be_bytes()].concat();
    // Each path is asked for by two clients, one after the other.
    let (fault, close) = match nth / 2 {
        code @ 0..=13 => (reset(code as u32), false),
        14 => (frame(7, 0, 0, &goaway), true),
        15 => (Vec::new(), true),
        16 => (frame(0, 0, stream, &[b'x'; 1000])[..500].to_vec(), true),
        17 => (frame(8, 0, stream, &[0; 3]), false), // WINDOW_UPDATE of a wrong size
        _ => (frame(0, 1, stream, b""), false),
    };
    bytes.extend(fault);
    Reply { bytes, close }
}

#[test]
fn bytes_and_fault_in_one_segment_of_http2_lose_no_byte_and_make_no_end() {
    let upstream = http2(one_segment_http2);
    let fixture = Fixture::configured(Upstream::builder().clear(), |config| {
        lead_to(config, upstream, Protocol::Http2);
    });
    break_off(fixture, &(0..=17).map(|way| format!("way-{way}")).collect::<Vec<_>>());
}

/// Bytes that fit into one stream's window, and not into this client's socket.
const FILLER: usize = 60_000;

/// The upstream has broken off before the client reads on.
fn slow_client(upstream: loadtest::upstream::Builder, cut: Step) {
    let script = Script::new().stream().step(Step::Filler(FILLER as u64));
    let script = script.wait(Duration::from_millis(20)).step(cut);
    let fixture = Fixture::start(upstream.script(script));
    let broken_off = |log: &Log| log.requests.first().is_some_and(|seen| seen.end.is_some());
    let mut client = raw_http1::Client::narrow(&fixture);
    client.ask("/v1/x", b"");
    assert!(fixture.upstream.wait_for(broken_off, PATIENCE), "the upstream breaks off");
    let got = client.answer().expect("a head");
    assert_eq!((got.body.len(), got.whole), (FILLER, false));
    for line in fixture.access_log() {
        assert_eq!(line["outcome"], "upstream_failed", "{line}");
    }
}

#[test]
fn a_slow_client_gets_every_byte_before_the_cut_of_an_http1_upstream() {
    slow_client(Upstream::builder().http1(), Step::Cut(Cut::Fin));
}

#[test]
fn a_slow_client_gets_every_byte_before_the_reset_of_an_http2_stream() {
    slow_client(Upstream::builder().http2(), Step::Reset(2));
}

/// A client whose window is closed when the upstream breaks off: what hyper has taken from us and
/// could not send yet must not be dropped with the failure.
fn windowed_client(upstream: loadtest::upstream::Builder, cut: Step) {
    let script = Script::new().stream().step(Step::Filler(FILLER as u64));
    let script = script.wait(Duration::from_millis(20)).step(cut);
    let fixture = Fixture::start(upstream.script(script));
    let broken_off = |log: &Log| log.requests.first().is_some_and(|seen| seen.end.is_some());
    let got = raw_http2::block_on(async {
        let client = raw_http2::Client::windowed(fixture.address(), 1000).await;
        let answer = client.send("/v1/x", b"").await;
        assert!(fixture.upstream.seen(broken_off, PATIENCE).await, "the upstream breaks off");
        raw_http2::read(answer.await.expect("a head")).await
    });
    assert_eq!(got.body.len(), FILLER);
    assert!(got.cut.is_some(), "a cut looked like an end");
    for line in fixture.access_log() {
        assert_eq!(line["outcome"], "upstream_failed", "{line}");
    }
}

#[test]
fn a_client_whose_window_was_closed_gets_every_byte_before_the_reset_of_an_http2_stream() {
    windowed_client(Upstream::builder().http2(), Step::Reset(2));
}

#[test]
fn a_client_whose_window_was_closed_gets_every_byte_before_the_cut_of_an_http1_upstream() {
    windowed_client(Upstream::builder().http1(), Step::Cut(Cut::Fin));
}
