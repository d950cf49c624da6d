//! An upstream whose answers begin well and end badly is ill too.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use firstbyte::config::{Config, HealthPolicy, Protocol};
use loadtest::upstream::{Builder, Cut, Script, Seen, Upstream};

use crate::support::fixture::{Fixture, PATIENCE};
use crate::support::group::{Several, ask, ok};
use crate::support::peers::raw_http1::{Answer, Client};

const POLICY: HealthPolicy = HealthPolicy {
    consecutive_failures: 3,
    failure_percent: 0,
    slow_percent: 0,
    requests: 10,
    window: Duration::from_secs(60),
    eject: Duration::from_secs(60),
    longest_eject: Duration::from_secs(60),
};

fn by(policy: HealthPolicy) -> impl FnOnce(&mut Config) {
    move |config| config.upstreams.iter_mut().for_each(|upstream| upstream.health = policy)
}

fn begun() -> Script {
    Script::new().stream().body("data: x\n\n")
}

fn http2(script: Script) -> Builder {
    Upstream::builder().clear().http2().script(script)
}

fn stream(fixture: &Fixture) -> Answer {
    let mut client = Client::connect(fixture);
    client.ask("/v1/x", b"{}");
    client.answer().expect("a head")
}

fn count(fixture: &Fixture, cause: &str) -> u64 {
    let labels = format!(r#"{{upstream="a",cause="{cause}"}}"#);
    fixture.count(&format!("firstbyte_upstream_ejections_total{labels}"))
}

fn is_ejected(fixture: &Fixture) -> bool {
    fixture.count(r#"firstbyte_upstream_ejected{upstream="a"}"#) == 1
}

#[test]
fn answers_that_are_cut_or_fall_silent_after_their_head_leave_it_out() {
    let http1 = |script: Script| Upstream::builder().clear().http1().script(script);
    let cases = [
        (http2(begun().reset(2)), http2(ok("from b")), Protocol::Http2),
        (http2(begun().stall()), http2(ok("from b")), Protocol::Http2),
        (http1(begun().cut(Cut::Fin)), http1(ok("from b")), Protocol::Http1),
    ];
    for (ill, well, protocol) in cases {
        let several = Several::of(vec![ill, well], protocol, |config| {
            by(POLICY)(config);
            config.upstreams[0].deadlines.frame_gap = Duration::from_millis(300);
        });
        for _ in 0..3 {
            let answer = stream(&several.fixture);
            assert_eq!((answer.status, answer.whole), (200, false));
        }
        for _ in 0..10 {
            assert_eq!(several.ask(&ask()).body(), b"from b");
        }
        assert_eq!((several.asked(), count(&several.fixture, "cut")), (vec![3, 10], 1));
    }
}

/// What the reader of a stream waits for was there: nobody misses what comes after.
#[test]
fn a_stream_that_is_cut_behind_its_last_event_is_no_failure() {
    let last = "event: response.completed\ndata: {\"type\":\"response.completed\"}\n\n";
    let well = || begun().body(last);
    let http1 = |script: Script| Upstream::builder().clear().http1().script(script);
    let cases = [
        (http2(well().reset(2)), http2(ok("from b")), Protocol::Http2),
        (http2(well().stall()), http2(ok("from b")), Protocol::Http2),
        (http1(well().cut(Cut::Fin)), http1(ok("from b")), Protocol::Http1),
    ];
    for (upstream, other, protocol) in cases {
        let several = Several::of(vec![upstream, other], protocol, |config| {
            by(POLICY)(config);
            config.upstreams[0].deadlines.frame_gap = Duration::from_millis(100);
        });
        for _ in 0..6 {
            let answer = stream(&several.fixture);
            assert_eq!((answer.status, answer.whole), (200, false), "a cut is told as one");
        }
        assert_eq!((several.asked(), count(&several.fixture, "cut")), (vec![6, 0], 0));
    }
}

#[test]
fn a_connection_that_ends_under_many_streams_is_one_failure() {
    let script = |seen: &Seen| match seen.path.as_str() {
        "/v1/end" => Script::new().cut(Cut::Rst),
        _ => begun().stall(),
    };
    let member = Upstream::builder().clear().http2().respond(script);
    let several = Several::of(vec![member, http2(ok("from b"))], Protocol::Http2, |config| {
        by(POLICY)(config);
        let pool = &mut config.upstreams[0].pool;
        (pool.min_connections, pool.max_connections) = (1, 1);
    });
    let mut held: Vec<_> = (0..20).map(|_| Client::connect(&several.fixture)).collect();
    for client in &mut held {
        client.ask("/v1/x", b"{}");
        assert!(client.wait_for("data: x"));
    }
    let mut last = Client::connect(&several.fixture);
    last.ask("/v1/end", b"{}");
    for client in &mut held {
        assert!(!client.answer().expect("a head").whole);
    }
    assert!(!is_ejected(&several.fixture));
}

#[test]
fn clients_that_leave_in_the_middle_say_nothing_about_it() {
    let several = Several::configured(&[begun().stall(), ok("from b")], by(POLICY));
    for nth in 0..10 {
        let mut client = Client::connect(&several.fixture);
        client.ask("/v1/x", b"{}");
        assert!(client.wait_for("data: x"), "{nth}: `a` is asked");
        drop(client);
        assert!(several.fixture.upstream.wait_for_cancel(nth, PATIENCE).is_some());
    }
    assert!(!is_ejected(&several.fixture));
}

#[test]
fn a_trial_after_cuts_is_won_by_a_whole_answer_and_not_by_a_head() {
    let well = Arc::new(AtomicBool::new(false));
    let is_well = Arc::clone(&well);
    let member = Upstream::builder().clear().http2().respond(move |_| {
        if is_well.load(Ordering::Relaxed) { ok("from a") } else { begun().reset(2) }
    });
    let several = Several::of(vec![member, http2(ok("from b"))], Protocol::Http2, |config| {
        by(HealthPolicy { eject: Duration::from_millis(50), ..POLICY })(config);
    });
    several.fixture.wait_until("two trials were lost", |fixture| {
        stream(fixture);
        count(fixture, "trial") >= 2
    });
    assert_eq!(count(&several.fixture, "cut"), 1, "no head took it back");
    well.store(true, Ordering::Relaxed);
    several.fixture.wait_until("it is taken back", |fixture| {
        stream(fixture).text() == "from a" && !is_ejected(fixture)
    });
}
