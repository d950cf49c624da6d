//! Probes: requests of our own that find out who is ill and who is well again, and that nobody else notices.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use firstbyte::config::{Config, HealthPolicy, Probe, Protocol};
use loadtest::upstream::{Builder, Script, Seen, Upstream};

use crate::support::fixture::{Fixture, KEY};
use crate::support::group::{Several, ask, ok};

const PATH: &str = "/models";

fn broken() -> Script {
    Script::new().answer(500, &[], "broken")
}

/// Probes `a` often; whatever ejects it, the time is short.
fn probed(config: &mut Config) {
    config.upstreams[0].probe = Some(Probe {
        path: PATH.into(),
        interval: Duration::from_millis(50),
        timeout: Duration::from_millis(500),
        failures: 3,
        statuses: vec![200..=299],
    });
    config.upstreams[0].health = HealthPolicy {
        consecutive_failures: 3,
        failure_percent: 0,
        eject: Duration::from_millis(1),
        longest_eject: Duration::from_millis(1),
        ..HealthPolicy::default()
    };
}

/// `a` answers requests by `request` and probes by `probe`; `b` is well.
fn several(
    request: impl Fn() -> Script + Send + Sync + 'static,
    probe: impl Fn() -> Script + Send + Sync + 'static,
) -> Several {
    let by_path = move |seen: &Seen| if seen.path == PATH { probe() } else { request() };
    let member = |builder: Builder| builder.clear().http2();
    let a = member(Upstream::builder()).respond(by_path);
    let b = member(Upstream::builder()).script(ok("from b"));
    Several::of(vec![a, b], Protocol::Http2, probed)
}

fn count(fixture: &Fixture, result: &str) -> u64 {
    fixture.count(&format!(r#"firstbyte_probes_total{{upstream="a",result="{result}"}}"#))
}

fn is_ejected(fixture: &Fixture) -> bool {
    fixture.count(r#"firstbyte_upstream_ejected{upstream="a"}"#) == 1
}

/// Requests of clients that `a` saw.
fn asked(several: &Several) -> usize {
    let log = several.fixture.upstream.log();
    log.requests.iter().filter(|seen| seen.path != PATH).count()
}

#[test]
fn a_probe_takes_an_ejected_upstream_back_and_no_request_of_a_client_is_its_trial() {
    let well = Arc::new(AtomicBool::new(false));
    let [for_requests, for_probes] = [Arc::clone(&well), Arc::clone(&well)];
    let by = |well: &AtomicBool| if well.load(Ordering::Relaxed) { ok("from a") } else { broken() };
    let several = several(move || by(&for_requests), move || by(&for_probes));
    // Until there was one, requests would be the trial.
    several.fixture.wait_until("probes are sent", |f| count(f, "failed") > 0);
    several.fixture.wait_until("it is left out", |_| several.ask(&ask()).body() == b"from b");
    let before = asked(&several);
    let failed = count(&several.fixture, "failed");
    several.fixture.wait_until("many more failed", |f| {
        assert_eq!(several.ask(&ask()).body(), b"from b");
        count(f, "failed") > failed + 5
    });
    assert_eq!(asked(&several), before, "no request is risked");
    well.store(true, Ordering::Relaxed);
    several.fixture.wait_until("it is taken back", |f| !is_ejected(f));
    assert_eq!(asked(&several), before, "by a probe alone");
    assert_eq!(several.ask(&ask()).body(), b"from a");
}

#[test]
fn probes_that_fail_eject_and_one_that_is_never_answered_is_a_failure() {
    for ill in [broken(), Script::new().stall()] {
        let several = several(|| ok("from a"), move || ill.clone());
        several.fixture.wait_until("it is left out", is_ejected);
        let cause = r#"firstbyte_upstream_ejections_total{upstream="a",cause="probe"}"#;
        assert_eq!((several.fixture.count(cause), count(&several.fixture, "well")), (1, 0));
        let left = several.fixture.count("firstbyte_cancel_seconds_count");
        assert_eq!(left, 0, "no client left");
        assert_eq!(several.ask(&ask()).body(), b"from b");
        assert_eq!(asked(&several), 0);
    }
}

#[test]
fn a_probe_carries_the_upstream_s_key_and_is_counted_as_nobody_s_request() {
    let several = several(|| ok("from a"), || ok("{}"));
    several.fixture.wait_until("some came back", |f| count(f, "well") > 5);
    assert_eq!(several.ask(&ask()).body(), b"from a");
    let ended = r#"firstbyte_stream_end_total{outcome="complete"}"#;
    several.fixture.wait_until("the request is counted", |f| f.count(ended) == 1);
    assert_eq!(several.fixture.count(r#"firstbyte_overhead_seconds_count{phase="request"}"#), 1);
    let log = several.fixture.upstream.log();
    let probe = log.requests.iter().find(|seen| seen.path == PATH).expect("a probe");
    let line = |name: &str| probe.headers.iter().find(|line| line.name == name);
    let value =
        |name: &str| String::from_utf8_lossy(&line(name).expect("it is there").value).into_owned();
    assert_eq!(value("authorization"), format!("Bearer {KEY}"));
    assert_eq!(value("user-agent"), "firstbyte-probe");
    assert_eq!(several.access_log().len(), 1);
}
