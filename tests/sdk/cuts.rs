use std::time::Duration;

use loadtest::upstream::{Builder, Cut, Goaway, Head, Script, Step, Upstream};

use super::for_both;
use crate::fixture::Fixture;

const TIMES: usize = 3;

// RFC 9113, section 7.
const NO_ERROR: u32 = 0x0;
const INTERNAL_ERROR: u32 = 0x2;
const CANCEL: u32 = 0x8;

/// An answer's head and three tokens, 5 ms apart: what follows cuts a stream that is under way.
fn under_way() -> Script {
    Script::new().stream().tokens(3, Duration::from_millis(5)).wait(Duration::from_millis(5))
}

/// A stream whose `content-length` promises more than will come.
fn too_short() -> Script {
    let head = [("content-type", "text/event-stream"), ("content-length", "1000000")];
    Script::new()
        .head(200, &head)
        .tokens(3, Duration::from_millis(5))
        .wait(Duration::from_millis(5))
}

fn clear_http1() -> Builder {
    Upstream::builder().clear().http1()
}

fn tls_http1() -> Builder {
    Upstream::builder().tls().http1()
}

fn tls_http2() -> Builder {
    Upstream::builder().tls().http2()
}

/// Every stream that `upstream` begins is cut by `script`; no application may take one for whole.
fn assert_raises(upstream: Builder, script: Script) {
    assert_cuts_raise(&Fixture::start(upstream.script(script)), "cut-stream", TIMES);
}

fn assert_cuts_raise(proxy: &Fixture, group: &str, times: usize) {
    for_both(|sdk| {
        let before = proxy.upstream.log().requests.len();
        sdk.passes(&proxy.base_url(), group, &[&format!("times={times}")])?;
        // The error is of the cut and not of something before it; and nobody tried again behind the application's back.
        assert_eq!(proxy.upstream.log().requests.len() - before, times, "{sdk:?}");
        Some(())
    });
}

/// Without this the others would prove nothing: what ends cleanly, if early, is not an error.
#[test]
fn a_stream_that_ends_cleanly_without_done_does_not_raise() {
    let proxy = Fixture::start(tls_http2().script(under_way().finish()));
    for_both(|sdk| {
        let verdicts = sdk.run(&proxy.base_url(), "cut-stream", &[])?;
        assert!(verdicts[0].detail.contains("ended cleanly"), "{sdk:?}: {verdicts:?}");
        Some(())
    });
}

#[test]
fn silence_raises_once_the_deadline_has_passed() {
    let proxy = Fixture::configured(tls_http2().script(under_way().stall()), |config| {
        config.upstreams[0].deadlines.frame_gap = Duration::from_millis(300);
    });
    assert_cuts_raise(&proxy, "cut-stream", 1);
}

/// Not a stream but one JSON document, half of it.
#[test]
fn half_an_answer_raises() {
    let head = [("content-type", "application/json"), ("content-length", "1000")];
    let half = || Script::new().head(200, &head).body("{\"id\":").wait(Duration::from_millis(5));
    for (upstream, script) in [
        (clear_http1(), half().cut(Cut::Fin)),
        (clear_http1(), half().cut(Cut::Rst)),
        (tls_http2(), half().reset(CANCEL)),
        (tls_http2(), half().cut(Cut::Fin)),
    ] {
        assert_cuts_raise(&Fixture::start(upstream.script(script)), "cut-answer", 1);
    }
}

/// A body that ends with its connection: over TLS only `close_notify` tells an end from a cut (RFC 9112, section 9.8).
#[test]
fn a_body_until_close_without_close_notify_raises() {
    let mut head = Head::new(200);
    head.headers.push(("content-type".to_owned(), "text/event-stream".to_owned()));
    head.until_close = true;
    let begun = Script::new().step(Step::Head(head)).tokens(3, Duration::from_millis(5));
    assert_raises(tls_http1(), begun.wait(Duration::from_millis(5)).cut(Cut::NoCloseNotify));
}

#[test]
fn a_reset_connection_raises() {
    assert_raises(clear_http1(), under_way().cut(Cut::Rst));
    assert_raises(tls_http2(), under_way().cut(Cut::Rst));
}

#[test]
fn an_end_without_the_last_chunk_raises() {
    assert_raises(clear_http1(), under_way().cut(Cut::Fin));
    assert_raises(tls_http1(), under_way().cut(Cut::Fin));
}

#[test]
fn an_end_inside_a_chunk_raises() {
    assert_raises(clear_http1(), under_way().cut(Cut::MidFrame));
    assert_raises(tls_http1(), under_way().cut(Cut::MidFrame));
}

#[test]
fn fewer_bytes_than_content_length_raise() {
    assert_raises(clear_http1(), too_short().cut(Cut::Fin));
    assert_raises(tls_http1(), too_short().cut(Cut::Fin));
}

#[test]
fn an_end_without_close_notify_raises() {
    assert_raises(tls_http1(), under_way().cut(Cut::NoCloseNotify));
    assert_raises(tls_http2(), under_way().cut(Cut::NoCloseNotify));
}

#[test]
fn an_end_inside_an_http_2_frame_raises() {
    assert_raises(tls_http2(), under_way().cut(Cut::MidFrame));
}

#[test]
fn an_http_2_connection_that_ends_between_frames_raises() {
    assert_raises(tls_http2(), under_way().cut(Cut::Fin));
}

/// `NO_ERROR` and `CANCEL` too: they are reasons for a reset, and a reset is never an end.
#[test]
fn a_reset_stream_raises_whatever_its_reason() {
    for reason in [NO_ERROR, INTERNAL_ERROR, CANCEL] {
        assert_raises(tls_http2(), under_way().reset(reason));
    }
}

#[test]
fn an_upstream_that_says_goaway_with_an_error_and_leaves_raises() {
    assert_raises(tls_http2(), under_way().goaway(Goaway::Error).cut(Cut::Fin));
}
