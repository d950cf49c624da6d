//! An upstream that is ill is left out of its groups, tried now and then, and taken back when it is well.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use firstbyte::config::{
    Config, HealthPolicy, Protocol, Route, Target, Triggers, UpstreamId, WhenEjected,
};
use loadtest::upstream::{Builder, Script, Upstream};

use crate::support::fixture::Fixture;
use crate::support::group::{Several, ask, ok};
use crate::support::message::Ask;
use crate::support::peers::http1_client::Http1;
use crate::support::refusal::assert_refused;

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

fn broken() -> Script {
    Script::new().answer(500, &[], "broken")
}

fn ejected(fixture: &Fixture) -> u64 {
    fixture.count(r#"firstbyte_upstream_ejected{upstream="a"}"#)
}

fn ejections(fixture: &Fixture, cause: &str) -> u64 {
    let labels = format!(r#"{{upstream="a",cause="{cause}"}}"#);
    fixture.count(&format!("firstbyte_upstream_ejections_total{labels}"))
}

#[test]
fn after_failures_in_a_row_the_others_are_asked_instead_and_it_is_told() {
    let several = Several::configured(&[broken(), ok("from b")], by(POLICY));
    let mut client = Http1::new(several.fixture.connect());
    for _ in 0..3 {
        assert_eq!(client.ask(&ask()).status, 500, "500 does not lead on by default");
    }
    for _ in 0..20 {
        assert_eq!(client.ask(&ask()).body(), b"from b");
    }
    assert_eq!(several.asked(), [3, 20]);
    assert_eq!((ejected(&several.fixture), ejections(&several.fixture, "in_a_row")), (1, 1));
    let (_, stats) = several.fixture.admin("/stats");
    let stats: serde_json::Value = serde_json::from_str(&stats).expect("JSON");
    assert_eq!(stats["upstreams"][0]["ejected_by_workers"], 1);
    assert_eq!(stats["upstreams"][0]["ejections"]["in_a_row"], 1);
}

#[test]
fn a_connection_refused_counts_and_a_429_or_a_refused_stream_does_not() {
    let limited = Script::new().answer(429, &[], "busy");
    for (script, counts) in [(limited, false), (Script::new().refuse(), false), (broken(), true)] {
        let several = Several::configured(&[script, ok("from b")], |config| {
            by(POLICY)(config);
            config.groups[0].failover_on = Triggers::statuses([429, 500]);
        });
        for _ in 0..6 {
            assert_eq!(several.ask(&ask()).body(), b"from b");
        }
        assert_eq!(ejected(&several.fixture), u64::from(counts));
    }
    let several = Several::configured(&[ok("never"), ok("from b")], |config| {
        by(POLICY)(config);
        // Nobody listens there.
        config.upstreams[0].port = 1;
        config
            .upstreams
            .iter_mut()
            .for_each(|up| up.deadlines.connect = Duration::from_millis(500));
    });
    for _ in 0..6 {
        assert_eq!(several.ask(&ask()).body(), b"from b");
    }
    assert_eq!(ejections(&several.fixture, "in_a_row"), 1);
}

/// `a` is broken until it is told otherwise.
fn mendable() -> (Builder, Arc<AtomicBool>) {
    let well = Arc::new(AtomicBool::new(false));
    let is_well = Arc::clone(&well);
    let builder = Upstream::builder()
        .clear()
        .http2()
        .respond(move |_| if is_well.load(Ordering::Relaxed) { ok("from a") } else { broken() });
    (builder, well)
}

fn well() -> Builder {
    Upstream::builder().clear().http2().script(ok("from b"))
}

#[test]
fn it_is_tried_with_one_request_and_taken_back_once_it_answers() {
    let (member, mend) = mendable();
    let several = Several::of(vec![member, well()], Protocol::Http2, |config| {
        by(HealthPolicy { eject: Duration::from_millis(50), ..POLICY })(config);
        config.groups[0].failover_on = Triggers::statuses([500]);
    });
    let mut client = Http1::new(several.fixture.connect());
    while ejections(&several.fixture, "trial") < 2 {
        assert_eq!(client.ask(&ask()).body(), b"from b", "clients see nothing of the trials");
    }
    let failed = several.asked()[0];
    assert_eq!(failed, 3 + ejections(&several.fixture, "trial"), "each trial is one request");
    mend.store(true, Ordering::Relaxed);
    several.fixture.wait_until("`a` is taken back", |_| client.ask(&ask()).body() == b"from a");
    assert_eq!(ejected(&several.fixture), 0);
    assert_eq!(client.ask(&ask()).body(), b"from a");
}

#[test]
fn a_share_of_failures_suffices() {
    let turn = Arc::new(AtomicBool::new(false));
    let every_other = Upstream::builder().clear().http2().respond(move |_| {
        if turn.fetch_xor(true, Ordering::Relaxed) { broken() } else { ok("from a") }
    });
    let several = Several::of(vec![every_other, well()], Protocol::Http2, |config| {
        by(HealthPolicy { failure_percent: 50, ..POLICY })(config);
    });
    let mut client = Http1::new(several.fixture.connect());
    while ejected(&several.fixture) == 0 {
        client.ask(&ask());
    }
    assert_eq!((several.asked()[0], ejections(&several.fixture, "share")), (10, 1));
}

#[test]
fn one_that_begins_much_later_than_its_peers_is_left_out() {
    let late = Script::new().wait(Duration::from_millis(150)).answer(200, &[], "from a");
    let several = Several::configured(&[late, ok("from b")], |config| {
        by(HealthPolicy { slow_percent: 300, ..POLICY })(config);
        config.groups[0].members.iter_mut().for_each(|member| member.tier = 0);
    });
    let mut client = Http1::new(several.fixture.connect());
    while ejected(&several.fixture) == 0 {
        client.ask(&ask());
        assert!(several.asked()[0] <= 32, "it is never found out");
    }
    assert_eq!(ejections(&several.fixture, "slow"), 1);
    let before = several.asked()[0];
    (0..20).for_each(|_| assert_eq!(client.ask(&ask()).body(), b"from b"));
    assert_eq!(several.asked()[0], before);
}

#[test]
fn when_all_are_ejected_they_are_asked_all_the_same_or_the_client_is_told() {
    for (when, asked) in [(WhenEjected::Ask, 10), (WhenEjected::Refuse, 3)] {
        let several = Several::configured(&[broken()], |config| {
            by(POLICY)(config);
            config.groups[0].when_all_ejected = when;
        });
        let mut client = Http1::new(several.fixture.connect());
        (0..3).for_each(|_| assert_eq!(client.ask(&ask()).status, 500));
        for _ in 3..10 {
            let answer = client.ask(&ask());
            match when {
                WhenEjected::Ask => assert_eq!(answer.status, 500),
                WhenEjected::Refuse => assert_refused(&answer, 503, "all_ejected"),
            }
        }
        assert_eq!(several.asked(), [asked], "{when:?}");
    }
}

/// What ejected it may be over, and a failed request is worse than one more try.
#[test]
fn one_that_is_ejected_is_asked_when_the_others_cannot_be_reached() {
    for (when, status) in [(WhenEjected::Ask, 200), (WhenEjected::Refuse, 502)] {
        let ill = Arc::new(AtomicBool::new(true));
        let is_ill = Arc::clone(&ill);
        let a = Upstream::builder()
            .clear()
            .http2()
            .respond(move |_| if is_ill.load(Ordering::Relaxed) { broken() } else { ok("from a") });
        let b = Upstream::builder().clear().http2().script(ok("from b"));
        let mut several = Several::of(vec![a, b], Protocol::Http2, |config| {
            by(POLICY)(config);
            config.groups[0].when_all_ejected = when;
        });
        let mut client = Http1::new(several.fixture.connect());
        (0..3).for_each(|_| assert_eq!(client.ask(&ask()).status, 500));
        assert_eq!(client.ask(&ask()).body(), b"from b");
        ill.store(false, Ordering::Relaxed);
        drop(several.others.remove(0));
        let answer = client.ask(&ask());
        assert_eq!(answer.status, status, "{when:?} {answer:?}");
        assert_eq!(ejected(&several.fixture), 1, "it is still out");
    }
}

/// What there is no room for must not crowd the ill.
#[test]
fn one_that_is_ejected_is_not_asked_because_the_others_are_full() {
    let a = Upstream::builder().clear().http2().script(broken());
    let b = Upstream::builder().clear().http2().script(Script::new().stream().stall());
    let several = Several::of(vec![a, b], Protocol::Http2, |config| {
        by(POLICY)(config);
        config.upstreams[1].streams = Some(1);
    });
    let mut client = Http1::new(several.fixture.connect());
    (0..3).for_each(|_| assert_eq!(client.ask(&ask()).status, 500));
    let mut holds = Http1::new(several.fixture.connect());
    holds.send(&ask());
    several.fixture.wait_until("`b` has its one stream", |_| several.asked() == [3, 1]);
    assert_eq!(client.ask(&ask()).status, 503);
    assert_eq!(several.asked(), [3, 1]);
}

/// Whoever goes there without the group decides nothing for it.
#[test]
fn a_request_of_a_route_of_its_own_is_no_trial() {
    let eject = Duration::from_millis(200);
    let ill = Arc::new(AtomicBool::new(true));
    let is_ill = Arc::clone(&ill);
    let a = Upstream::builder()
        .clear()
        .http2()
        .respond(move |_| if is_ill.load(Ordering::Relaxed) { broken() } else { ok("from a") });
    let b = Upstream::builder().clear().http2().script(ok("from b"));
    let several = Several::of(vec![a, b], Protocol::Http2, |config| {
        by(HealthPolicy { eject, ..POLICY })(config);
        config.routes.push(Route::new("/own", Target::Upstream(UpstreamId(0))));
    });
    let mut client = Http1::new(several.fixture.connect());
    (0..3).for_each(|_| assert_eq!(client.ask(&ask()).status, 500));
    ill.store(false, Ordering::Relaxed);
    let out = Instant::now() + eject * 2;
    while Instant::now() < out {
        assert_eq!(client.ask(&Ask::post("/own", "{}")).status, 200);
    }
    assert_eq!(client.ask(&ask()).body(), b"from a", "this one is the trial");
}

/// Nobody stands in for it, so there is nothing to leave it out of.
#[test]
fn a_route_to_one_upstream_goes_on_asking_it() {
    let upstream = Upstream::builder().clear().script(broken());
    let fixture = Fixture::configured(upstream, by(POLICY));
    let mut client = Http1::new(fixture.connect());
    (0..20).for_each(|_| assert_eq!(client.ask(&ask()).status, 500));
    assert_eq!(fixture.upstream.requests(), 20);
    assert_eq!(fixture.count(r#"firstbyte_upstream_ejected{upstream="openai"}"#), 0);
}
