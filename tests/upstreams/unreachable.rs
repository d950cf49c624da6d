//! Upstreams that cannot be reached, or have no stream to spare: told quickly, in the right words, and
//! only to those who asked for that upstream.

use std::time::Duration;

use firstbyte::config::{Config, Route, Scheme, Target, UpstreamId};
use loadtest::upstream::{Script, Upstream};

use crate::support::fixture::{Fixture, PATIENCE, free_port};
use crate::support::message::Ask;
use crate::support::pairing::{CLIENTS, upstream};
use crate::support::peers::http1_client::Http1;
use crate::support::refusal::assert_refused;

fn ask() -> Ask {
    Ask::post("/v1/chat/completions", r#"{"stream":true}"#)
}

/// A port of this machine on which nobody listens until it is let go.
#[test]
fn an_upstream_that_is_down_is_502_and_not_ready_until_it_comes_up() {
    let port = free_port();
    let fixture = Fixture::unready(upstream().clear(), |config| config.upstreams[0].port = port);
    for speaks in CLIENTS {
        assert_refused(&speaks.connect(&fixture).ask(&ask()), 502, "connect_refused");
    }
    assert_eq!(fixture.admin("/readyz").0, 503);
    assert_eq!(fixture.admin("/livez").0, 200);
    let up = Upstream::builder().clear().bind(([127, 0, 0, 1], port).into()).start();
    let up = up.expect("the port is still free");
    // Nobody asks for it meanwhile: the proxy finds it by itself.
    assert!(fixture.proxy.wait_ready(PATIENCE), "the upstream that came up is not found");
    assert_eq!(fixture.admin("/readyz").0, 200);
    assert_eq!(Http1::new(fixture.connect()).ask(&ask()).status, 200);
    assert_eq!(up.requests(), 1);
}

#[test]
fn a_name_that_does_not_resolve_is_502() {
    let fixture = Fixture::unready(upstream().clear(), |config| {
        // Refused by every resolver before it asks anybody.
        config.upstreams[0].host = "firstbyte..invalid".into();
    });
    assert_refused(&Http1::new(fixture.connect()).ask(&ask()), 502, "dns_error");
    assert_eq!(fixture.admin("/readyz").0, 503);
}

#[test]
fn a_certificate_of_an_unknown_authority_is_refused() {
    let fixture = Fixture::unready(upstream(), |config| config.upstreams[0].ca_file = None);
    assert_eq!(fixture.upstream.url().split_once(':').map(|url| url.0), Some("https"));
    assert_refused(&Http1::new(fixture.connect()).ask(&ask()), 502, "tls_error");
    assert_eq!(fixture.admin("/readyz").0, 503);
    assert_eq!(fixture.upstream.requests(), 0, "no key goes there");
}

/// Adds `upstream` in front of which `/other` stands.
fn and_other(config: &mut Config, upstream: &Upstream) {
    let mut other = config.upstreams[0].clone();
    "other".clone_into(&mut other.name);
    (other.scheme, other.ca_file, other.port) = (Scheme::Http, None, upstream.addr().port());
    "127.0.0.1".clone_into(&mut other.host);
    config.upstreams.push(other);
    config.routes.push(Route::new("/other", Target::Upstream(UpstreamId(1))));
}

/// A hundred requests of a healthy route are answered while one of the other is still connecting.
#[test]
fn a_connect_that_stalls_is_504_and_delays_nobody_else() {
    let other = Upstream::builder().clear().respond(|_| Script::new().answer(200, &[], "ok"));
    let other = other.start().expect("the mock upstream starts");
    let fixture = Fixture::unready(upstream().silent_handshake(), |config| {
        config.upstreams[0].deadlines.connect = Duration::from_secs(2);
        and_other(config, &other);
    });
    let mut stalled = Http1::new(fixture.connect());
    stalled.send(&ask());
    let mut healthy = Http1::new(fixture.connect());
    for _ in 0..100 {
        assert_eq!(healthy.ask(&Ask::get("/other/models")).status, 200);
    }
    assert!(!stalled.has_more(), "the healthy route was as slow as the stalled one");
    assert_refused(&stalled.answer(&ask()), 504, "connect_timeout");
    fixture.wait_until("it is ready without it", |fixture| fixture.admin("/readyz").0 == 200);
}

fn one_stream(config: &mut Config) {
    let pool = &mut config.upstreams[0].pool;
    (pool.min_connections, pool.max_connections, pool.streams_per_connection) = (1, 1, 1);
    pool.queue = Some(1);
}

#[test]
fn more_than_may_wait_for_a_stream_is_503_at_once() {
    let script = Script::new().stream().stall();
    let fixture = Fixture::configured(upstream().script(script), one_stream);
    let mut first = Http1::new(fixture.connect());
    first.send(&ask());
    assert_eq!(first.head(&ask()).status, 200, "it has the only stream");
    let mut second = Http1::new(fixture.connect());
    second.send(&ask());
    fixture.wait_until("one waits", |fixture| {
        fixture.metric(r#"firstbyte_pool_waiting{upstream="openai"}"#) > 0.0
    });
    for speaks in CLIENTS {
        assert_refused(&speaks.connect(&fixture).ask(&ask()), 503, "pool_queue_full");
    }
    assert!(!second.has_more(), "the one that waits was not refused before");
    drop(first);
    assert_eq!(second.head(&ask()).status, 200, "it gets the stream that is given back");
}

#[test]
fn who_waits_too_long_for_a_stream_gets_503() {
    let fixture =
        Fixture::configured(upstream().script(Script::new().stream().stall()), |config| {
            one_stream(config);
            config.upstreams[0].pool.queue_timeout = Duration::from_millis(150);
        });
    let mut first = Http1::new(fixture.connect());
    first.send(&ask());
    assert_eq!(first.head(&ask()).status, 200);
    for speaks in CLIENTS {
        assert_refused(&speaks.connect(&fixture).ask(&ask()), 503, "pool_queue_timeout");
    }
    assert_eq!(fixture.upstream.requests(), 1);
}

#[test]
fn more_requests_than_are_taken_at_once_are_503() {
    let script = Script::new().stream().stall();
    let fixture = Fixture::configured(upstream().script(script), |c| c.limits.streams = 1);
    let mut first = Http1::new(fixture.connect());
    first.send(&ask());
    assert_eq!(first.head(&ask()).status, 200);
    for speaks in CLIENTS {
        assert_refused(&speaks.connect(&fixture).ask(&ask()), 503, "busy");
    }
    drop(first);
    fixture.wait_until("the place is free again", |fixture| {
        let mut client = Http1::new(fixture.connect());
        client.send(&ask());
        client.head(&ask()).status == 200
    });
}
