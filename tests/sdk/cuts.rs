use std::time::Duration;

use loadtest::upstream::{Builder, Cut, Goaway, Head, Script, Step, Upstream};

use super::for_both;
use super::program::Job;
use crate::support::fixture::Fixture;

/// How often each stream is cut; the connection to the upstream is another one each time, or the same.
const TIMES: usize = 3;

// RFC 9113, section 7.
const NO_ERROR: u32 = 0x0;
const INTERNAL_ERROR: u32 = 0x2;
const CANCEL: u32 = 0x8;

const MOMENT: Duration = Duration::from_millis(5);

/// An answer's head and three tokens: what follows cuts a stream that is under way.
fn under_way() -> Script {
    Script::new().stream().tokens(3, MOMENT).wait(MOMENT)
}

/// A stream whose `content-length` promises more than will come.
fn too_short() -> Script {
    let head = [("content-type", "text/event-stream"), ("content-length", "1000000")];
    Script::new().head(200, &head).tokens(3, MOMENT).wait(MOMENT)
}

/// A body that ends with its connection: over TLS only `close_notify` tells an end from a cut (RFC 9112, section 9.8).
fn until_close() -> Script {
    let headers = vec![("content-type".to_owned(), "text/event-stream".to_owned())];
    let head = Head { headers, until_close: true, ..Head::new(200) };
    Script::new().step(Step::Head(head)).tokens(3, MOMENT).wait(MOMENT)
}

/// The beginning of one JSON document.
fn half_a_document() -> Script {
    let head = [("content-type", "application/json"), ("content-length", "1000")];
    Script::new().head(200, &head).body("{\"id\":").wait(MOMENT)
}

fn clear() -> Builder {
    Upstream::builder().clear().http1()
}

fn tls() -> Builder {
    Upstream::builder().tls().http1()
}

fn h2() -> Builder {
    Upstream::builder().tls().http2()
}

/// Cuts each in its own way what `group` asks for; no application may take it for whole.
fn assert_each_raises(group: &str, times: usize, cuts: Vec<(&str, Builder, Script)>) {
    let cuts: Vec<(&str, Fixture)> = cuts
        .into_iter()
        .map(|(name, upstream, script)| (name, Fixture::start(upstream.script(script))))
        .collect();
    for_both(|sdk| {
        let asked = |proxy: &Fixture| proxy.upstream.log().requests.len();
        let before: Vec<usize> = cuts.iter().map(|(_, proxy)| asked(proxy)).collect();
        let options = format!("times={times}");
        let jobs: Vec<Job> =
            cuts.iter().map(|(_, proxy)| Job::new(&proxy.base_url(), group, &[&options])).collect();
        let verdicts = sdk.run_all(&jobs)?;
        for (verdict, ((name, proxy), before)) in verdicts.iter().zip(cuts.iter().zip(before)) {
            assert!(verdict.ok, "{sdk:?}, {name}: {}", verdict.detail);
            // Each error is of its cut and not of something before it; and nobody asked again behind the application's back.
            assert_eq!(asked(proxy) - before, times, "{sdk:?}, {name}: requests upstream");
        }
        Some(())
    });
}

#[test]
fn every_cut_of_a_stream_raises() {
    let cuts = vec![
        ("a reset connection", clear(), under_way().cut(Cut::Rst)),
        ("a reset connection under HTTP/2", h2(), under_way().cut(Cut::Rst)),
        ("an end without the last chunk", clear(), under_way().cut(Cut::Fin)),
        ("an end without the last chunk, over TLS", tls(), under_way().cut(Cut::Fin)),
        ("an end inside a chunk", clear(), under_way().cut(Cut::MidFrame)),
        ("an end inside a chunk, over TLS", tls(), under_way().cut(Cut::MidFrame)),
        ("fewer bytes than content-length", clear(), too_short().cut(Cut::Fin)),
        ("fewer bytes than content-length, over TLS", tls(), too_short().cut(Cut::Fin)),
        ("chunks that end without close_notify", tls(), under_way().cut(Cut::NoCloseNotify)),
        ("a length that ends without close_notify", tls(), too_short().cut(Cut::NoCloseNotify)),
        ("until close, without close_notify", tls(), until_close().cut(Cut::NoCloseNotify)),
        ("HTTP/2 that ends without close_notify", h2(), under_way().cut(Cut::NoCloseNotify)),
        ("an end inside an HTTP/2 frame", h2(), under_way().cut(Cut::MidFrame)),
        ("an end between HTTP/2 frames", h2(), under_way().cut(Cut::Fin)),
        // Reasons that sound harmless are reasons for a reset all the same, and a reset is never an end.
        ("a stream reset with NO_ERROR", h2(), under_way().reset(NO_ERROR)),
        ("a stream reset with CANCEL", h2(), under_way().reset(CANCEL)),
        ("a stream reset with INTERNAL_ERROR", h2(), under_way().reset(INTERNAL_ERROR)),
        ("GOAWAY with an error, and an end", h2(), under_way().goaway(Goaway::Error).cut(Cut::Fin)),
    ];
    assert_each_raises("cut-stream", TIMES, cuts);
}

#[test]
fn every_cut_of_a_document_raises() {
    let cuts = vec![
        ("an end, clear", clear(), half_a_document().cut(Cut::Fin)),
        ("a reset, clear", clear(), half_a_document().cut(Cut::Rst)),
        ("an end without close_notify", tls(), half_a_document().cut(Cut::NoCloseNotify)),
        ("a reset stream", h2(), half_a_document().reset(CANCEL)),
        ("an end of the connection", h2(), half_a_document().cut(Cut::Fin)),
    ];
    assert_each_raises("cut-answer", 1, cuts);
}

#[test]
fn silence_raises_once_the_deadline_has_passed() {
    let proxy = Fixture::configured(h2().script(under_way().stall()), |config| {
        config.upstreams[0].deadlines.frame_gap = Duration::from_millis(300);
    });
    for_both(|sdk| sdk.passes(&proxy.base_url(), "cut-stream", &[]).map(drop));
}

/// Without this the others would prove nothing: what ends cleanly, if early, is not an error.
#[test]
fn a_stream_that_ends_cleanly_without_done_does_not_raise() {
    let proxy = Fixture::start(h2().script(under_way().finish()));
    for_both(|sdk| {
        let verdicts = sdk.run(&proxy.base_url(), "cut-stream", &[])?;
        assert!(verdicts[0].detail.contains("ended cleanly"), "{sdk:?}: {verdicts:?}");
        Some(())
    });
}
