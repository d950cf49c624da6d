//! nginx and `haproxy` as origins over TLS and HTTP/2, with limits, GOAWAYs, reloads, restarts and crashes of
//! their own, under load. A mock behind them streams, and counts what reached it.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::time::Duration;

use firstbyte::config::{
    Config, Group, GroupId, Member, Pick, Retry, Scheme, Target, Triggers, UpstreamId, WhenEjected,
};
use loadtest::upstream::{Log, Script, Upstream};

use crate::support::crowd::{Crowd, Visit};
use crate::support::fixture::Fixture;
use crate::support::peers::origin::{Make, Origin, REQUESTS, STREAMS};

/// More at once than two connections take.
const CLIENTS: usize = 3 * STREAMS;
const FRAMES: usize = 8;

fn frame(nth: usize) -> String {
    format!("data: frame {nth}\n\n")
}

fn expected() -> String {
    (0..FRAMES).fold(String::new(), |mut text, nth| {
        let _ = write!(text, "{}", frame(nth));
        text
    })
}

fn streaming() -> Script {
    let pause = Duration::from_millis(2);
    (0..FRAMES)
        .fold(Script::new().stream(), |script, nth| script.body(frame(nth)).wait(pause))
        .finish()
}

fn mock() -> Upstream {
    let mock = Upstream::builder().clear().http1().script(streaming()).start();
    mock.expect("the mock upstream starts")
}

fn lead_to(upstream: &mut firstbyte::config::Upstream, origin: &Origin) {
    (upstream.scheme, upstream.ca_file) = (Scheme::Https, Some(origin.ca()));
    "localhost".clone_into(&mut upstream.host);
    upstream.port = origin.address().port();
    upstream.base_path.clear();
    // It is the origin that sends connections away.
    upstream.pool.max_requests = 1_000_000;
}

/// The proxy in front of one origin.
fn before(origin: &Origin) -> Fixture {
    let unused = Upstream::builder().clear();
    Fixture::configured(unused, |config| lead_to(&mut config.upstreams[0], origin))
}

/// The proxy in front of both, either of which stands in for the other.
fn before_both(origins: &[Origin; 2]) -> Fixture {
    let unused = Upstream::builder().clear();
    Fixture::configured(unused, |config: &mut Config| {
        config.upstreams.push(config.upstreams[0].clone());
        for (nth, origin) in origins.iter().enumerate() {
            let upstream = &mut config.upstreams[nth];
            lead_to(upstream, origin);
            upstream.name = format!("origin-{nth}");
            upstream.health.eject = Duration::from_millis(50);
        }
        let member = |nth| Member { upstream: UpstreamId(nth), weight: 1, tier: 0 };
        config.groups = vec![Group {
            name: "both".to_owned(),
            members: vec![member(0), member(1)],
            pick: Pick::Weighted,
            failover_on: Triggers::default(),
            retry: Retry::default(),
            when_all_ejected: WhenEjected::Ask,
            hedge: None,
        }];
        config.routes[0].target = Target::Group(GroupId(0));
    })
}

/// All were answered well; none reached the mock twice, or not at all.
fn assert_well(visits: &[Visit], log: &Log) {
    let ill: Vec<_> = visits.iter().filter(|visit| !visit.well).collect();
    assert!(ill.is_empty(), "{} of {} failed: {:?}", ill.len(), visits.len(), ill[0]);
    let reached = reached(log);
    assert!(visits.iter().all(|visit| reached.get(visit.path.as_str()) == Some(&1)));
}

/// How often each path reached the mock.
fn reached(log: &Log) -> HashMap<&str, usize> {
    log.requests.iter().fold(HashMap::new(), |mut reached, seen| {
        *reached.entry(seen.path.as_str()).or_default() += 1;
        reached
    })
}

/// Both are asked again, with all their connections: whoever restarts one after the other waits for that.
fn both_are_back(fixture: &Fixture) {
    for nth in 0..2 {
        let series = |name: &str, labels: &str| {
            format!("firstbyte_upstream_{name}{{upstream=\"origin-{nth}\"{labels}}}")
        };
        fixture.wait_until("it is back", |fixture| {
            fixture.count(&series("ejected", "")) == 0
                && fixture.count(&series("connections", ",state=\"ready\"")) >= 2
        });
    }
}

fn connects(fixture: &Fixture) -> u64 {
    fixture.count(r#"firstbyte_upstream_connect_seconds_count{upstream="openai"}"#)
}

#[test]
fn nginx_sends_connections_away_after_fifty_requests_and_no_client_sees_it() {
    let mock = mock();
    let Some(origin) = Origin::start(Make::Nginx, mock.addr()) else { return };
    let fixture = before(&origin);
    let crowd = Crowd::gather(fixture.address(), CLIENTS, &expected());
    crowd.go_on_for(40 * REQUESTS);
    let visits = crowd.leave();
    assert!(connects(&fixture) >= 40, "nothing was tested: {}", connects(&fixture));
    drop(fixture);
    assert_well(&visits, &mock.log());
}

#[test]
fn neither_is_given_more_streams_than_it_takes() {
    for make in [Make::Nginx, Make::Haproxy] {
        let mock = mock();
        let Some(origin) = Origin::start(make, mock.addr()) else { continue };
        let fixture = before(&origin);
        let crowd = Crowd::gather(fixture.address(), CLIENTS, &expected());
        crowd.go_on_for(20 * CLIENTS);
        let visits = crowd.leave();
        let refused = fixture.count(r#"firstbyte_replays_total{reason="refused_stream"}"#);
        assert_eq!(refused, 0, "{make:?}");
        drop(fixture);
        assert_well(&visits, &mock.log());
    }
}

#[test]
fn reloads_under_load_are_seen_by_no_client() {
    for make in [Make::Nginx, Make::Haproxy] {
        let mock = mock();
        let Some(origin) = Origin::start(make, mock.addr()) else { continue };
        let fixture = before(&origin);
        let crowd = Crowd::gather(fixture.address(), CLIENTS, &expected());
        for _ in 0..25 {
            // So that no visit meets four reloads in a row: three are made up for.
            crowd.go_on_for(2 * CLIENTS);
            origin.reload();
        }
        crowd.go_on_for(10 * CLIENTS);
        let visits = crowd.leave();
        drop(fixture);
        assert_well(&visits, &mock.log());
    }
}

#[test]
fn one_of_two_can_be_restarted_under_load_and_no_client_sees_it() {
    for make in [Make::Nginx, Make::Haproxy] {
        let mock = mock();
        let Some(one) = Origin::start(make, mock.addr()) else { continue };
        let Some(other) = Origin::start(make, mock.addr()) else { continue };
        let mut origins = [one, other];
        let fixture = before_both(&origins);
        let crowd = Crowd::gather(fixture.address(), CLIENTS, &expected());
        for nth in [0, 1, 0, 1] {
            both_are_back(&fixture);
            crowd.go_on_for(5 * CLIENTS);
            origins[nth].restart();
        }
        crowd.go_on_for(5 * CLIENTS);
        let visits = crowd.leave();
        drop(fixture);
        assert_well(&visits, &mock.log());
    }
}

const CRASHES: usize = 3;

/// What was under way there may have been processed: it fails, at most once per stream there, and never
/// looks well. All the rest goes on.
#[test]
fn one_of_two_can_crash_and_only_what_it_had_under_way_fails() {
    for make in [Make::Nginx, Make::Haproxy] {
        let mock = mock();
        let Some(one) = Origin::start(make, mock.addr()) else { continue };
        let Some(other) = Origin::start(make, mock.addr()) else { continue };
        let mut origins = [one, other];
        let fixture = before_both(&origins);
        let crowd = Crowd::gather(fixture.address(), CLIENTS, &expected());
        for nth in 0..CRASHES {
            both_are_back(&fixture);
            crowd.go_on_for(5 * CLIENTS);
            origins[nth % 2].kill();
        }
        crowd.go_on_for(5 * CLIENTS);
        let visits = crowd.leave();
        drop(fixture);
        let log = mock.log();
        let reached = reached(&log);
        assert!(reached.values().all(|times| *times == 1), "{make:?}: sent twice");
        let (well, ill): (Vec<_>, Vec<_>) = visits.iter().partition(|visit| visit.well);
        assert!(well.iter().all(|visit| reached.contains_key(visit.path.as_str())));
        assert!(ill.len() <= CRASHES * CLIENTS, "{make:?}: {} failed", ill.len());
        for visit in ill {
            let cut = visit.status == Some(200) && expected().starts_with(&visit.body);
            let closed = visit.status == Some(502) && visit.body.contains("upstream_closed");
            assert!(cut || closed, "{make:?}: {visit:?}");
        }
    }
}
