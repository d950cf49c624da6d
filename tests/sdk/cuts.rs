use std::time::Duration;

use loadtest::upstream::{Builder, Cut, Goaway, Script, Upstream};

use super::for_both;
use crate::fixture::Fixture;

const TIMES: usize = 3;

/// An answer's head and three tokens, 5 ms apart: what follows cuts a stream that is under way.
fn under_way() -> Script {
    Script::new().stream().tokens(3, Duration::from_millis(5)).wait(Duration::from_millis(5))
}

/// A stream whose `content-length` promises more than will come.
fn too_short() -> Script {
    let head = [("content-type", "text/event-stream"), ("content-length", "1000000")];
    Script::new().head(200, &head).tokens(3, Duration::from_millis(5)).wait(Duration::from_millis(5))
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
    let upstream = upstream.script(script).start().expect("an upstream");
    let proxy = Fixture::start(&upstream);
    assert_raises_at(&upstream, &proxy.base_url());
}

fn assert_raises_at(upstream: &Upstream, base_url: &str) {
    for_both(|sdk| {
        let before = upstream.log().requests.len();
        sdk.passes(base_url, "cut-stream", &[&format!("times={TIMES}")])?;
        // The error is of the cut and not of something before it; and nobody tried again behind the application's back.
        assert_eq!(upstream.log().requests.len() - before, TIMES, "{sdk:?}");
        Some(())
    });
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
    const NO_ERROR: u32 = 0x0;
    const INTERNAL_ERROR: u32 = 0x2;
    const CANCEL: u32 = 0x8;
    for reason in [NO_ERROR, INTERNAL_ERROR, CANCEL] {
        assert_raises(tls_http2(), under_way().reset(reason));
    }
}

#[test]
fn an_upstream_that_says_goaway_with_an_error_and_leaves_raises() {
    assert_raises(tls_http2(), under_way().goaway(Goaway::Error).cut(Cut::Fin));
}
