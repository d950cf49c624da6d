//! Ready is who can answer: an upstream that nobody asks is not waited for, one that is dead no longer than a
//! connect may take; both are named, and neither keeps a new process from taking over.

use std::net::TcpListener;

use loadtest::upstream::{Script, Upstream};
use rustix::process::Signal;
use serde_json::Value;

use crate::support::fixture::{Fixture, PATIENCE};
use crate::support::generations::Generations;

fn alive() -> Upstream {
    let script = Script::new().answer(200, &[], "{}");
    Upstream::builder().clear().http2().script(script).start().expect("the mock upstream starts")
}

/// A URL at which nobody listens.
fn dead() -> String {
    let port = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a port");
    format!("http://{port}")
}

/// Takes connections, and never answers on one.
fn mute() -> Upstream {
    Upstream::builder().clear().http2().silent_handshake().start().expect("the mock starts")
}

fn head() -> String {
    "listen: 127.0.0.1:0\nadmin: 127.0.0.1:0\nworkers: 2\naccess_log: off\n".to_owned()
}

fn upstream(name: &str, url: &str, connect: &str) -> String {
    let rest = format!("protocol: http2, deadlines: {{ connect: {connect} }}");
    format!("  {name}: {{ url: '{url}/v1', {rest} }}\n")
}

fn report(body: &str) -> Value {
    serde_json::from_str(body.trim()).expect("JSON")
}

#[test]
fn an_upstream_that_no_route_leads_to_is_named_and_not_waited_for() {
    let (alive, mute) = (alive(), mute());
    let text = format!(
        "{}upstreams:\n{}{}routes: [{{ path: /v1, upstream: u }}]\n",
        head(),
        upstream("u", &alive.url(), "1h"),
        upstream("d", &mute.url(), "1h"),
    );
    let fixture = Fixture::of_file(alive, &text);
    assert!(fixture.proxy.wait_ready(PATIENCE), "it waits for nobody");
    fixture.wait_until("it is named", |fixture| {
        report(&fixture.admin("/readyz").1)["unconnected_upstreams"] == serde_json::json!(["d"])
    });
    let (status, body) = fixture.admin("/readyz");
    assert_eq!((status, &report(&body)["reason"]), (200, &Value::from("ready")));
    assert_eq!(report(&body)["unanswerable_routes"], serde_json::json!([]));
    let without = |name: &str| {
        fixture.count(&format!("firstbyte_upstream_unconnected{{upstream=\"{name}\"}}"))
    };
    assert_eq!((without("d"), without("u")), (2, 0), "by worker");
}

#[test]
fn a_dead_upstream_holds_nobody_back_for_longer_than_a_connect_and_its_routes_are_named() {
    let (alive, mute) = (alive(), mute());
    let text = format!(
        "{}upstreams:\n{}{}routes:\n- {{ path: /v1, upstream: u }}\n- {{ path: /b, upstream: d }}\n",
        head(),
        upstream("u", &alive.url(), "1s"),
        upstream("d", &mute.url(), "1s"),
    );
    let fixture = Fixture::of_file(alive, &text);
    assert!(fixture.proxy.wait_ready(PATIENCE), "it waits for a connect and no longer");
    let (status, body) = fixture.admin("/readyz");
    let report = report(&body);
    assert_eq!(status, 200);
    assert_eq!(report["unanswerable_routes"], serde_json::json!(["/b"]));
    assert_eq!(report["unconnected_upstreams"], serde_json::json!(["d"]));
    assert_eq!(report["reason"], "ready, but some routes have no connected upstream");
}

#[test]
fn a_proxy_of_which_no_route_has_an_upstream_is_not_ready_however_long_it_waits() {
    let text = format!(
        "{}upstreams:\n{}routes: [{{ path: /v1, upstream: d }}]\n",
        head(),
        upstream("d", &dead(), "50ms"),
    );
    let fixture = Fixture::of_file(alive(), &text);
    fixture.wait_until("it has tried, and tried again", |fixture| {
        fixture.count(r#"firstbyte_upstream_connect_failures_total{upstream="d"}"#) >= 16
    });
    let (status, body) = fixture.admin("/readyz");
    assert_eq!((status, &report(&body)["unanswerable_routes"]), (503, &serde_json::json!(["/v1"])));
}

#[test]
fn a_dead_upstream_does_not_forbid_a_hand_over() {
    let (alive, mute) = (alive(), mute());
    let text = format!(
        "{}upstreams:\n{}{}{}routes:\n- {{ path: /v1, upstream: u }}\n- {{ path: /b, upstream: d }}\n",
        head(),
        upstream("u", &alive.url(), "1s"),
        upstream("d", &dead(), "1s"),
        upstream("nobody_s", &mute.url(), "1h"),
    );
    let all = Generations::start(&text);
    all.upgrade();
    assert!(all.page("/readyz").starts_with("HTTP/1.1 200 "));
}

/// The new program is no worse than the old one, which may be what is to be mended.
#[test]
fn a_process_that_no_upstream_answers_is_taken_over_by_one_that_none_answers_either() {
    let upstream_of_all = alive();
    let text = format!(
        "{}upstreams:\n{}routes: [{{ path: /v1, upstream: u }}]\n",
        head().replace("workers: 2", "workers: 1"),
        upstream("u", &upstream_of_all.url(), "1s"),
    );
    let all = Generations::start(&text);
    drop(upstream_of_all);
    all.wait_until("it is without", |all| {
        all.page("/readyz").contains(r#""unanswerable_routes":["/v1"]"#)
    });
    all.signal(Signal::USR2);
    all.wait_said("taken over the listeners");
}
