//! A request that several upstreams were asked is charged once, by the answer that its client got.

use super::{answering, ask, asked, chat, key};
use crate::support::fixture::{Fixture, PATIENCE};

use loadtest::upstream::{Script, Upstream};

fn proxy(first: &Upstream, second: Upstream, group: &str) -> Fixture {
    let url = |of: &Upstream| of.base_url().trim_end_matches("/v1").to_owned();
    let text = format!(
        "listen: 127.0.0.1:0\nadmin: 127.0.0.1:0\naccess_log: file:access.jsonl\nworkers: 1\n\
         upstreams: {{ a: {{ url: \"{}\" }}, b: {{ url: \"{}\" }} }}\n\
         groups: {{ any: {{ members: [{{ upstream: a }}, {{ upstream: b, tier: 1 }}]{group} }} }}\n\
         routes: [{{ path: /v1, upstream: any }}]\n\
         clients:\n  - name: app-a\n    key: {}\n    limits: {{ rpm: 2, burst: 1h, concurrent: 5 }}\n    budget: {{ tokens: 10000, per: day }}\n",
        url(first),
        url(&second),
        key("app-a"),
    );
    let fixture = Fixture::of_file(second, &text);
    assert!(fixture.proxy.wait_ready(PATIENCE), "ready");
    fixture
}

fn charged(fixture: &Fixture) -> (u64, u64, u64, u64) {
    let left =
        |limit: &str| fixture.count(&format!("firstbyte_client_balance{{limit=\"{limit}\"}}"));
    (
        fixture.count("firstbyte_client_requests_total"),
        120 - left("rpm"),
        5 - left("concurrent"),
        10_000 - left("budget_tokens"),
    )
}

#[test]
fn after_a_failover_it_is_charged_once() {
    let first = answering(|_| Script::new().error(503, "server_error", None, "Busy."));
    let fixture = proxy(&first, answering(|_| chat(30, 20)), "");
    for _ in 0..3 {
        let answer = asked(&fixture, &ask("app-a"));
        assert_eq!((answer.status, answer.header("x-firstbyte-upstream")), (200, Some("b")));
    }
    fixture.wait_until("all are charged", |fixture| charged(fixture) == (3, 3, 0, 150));
    assert!(first.requests() >= 1, "the first was asked");
}

#[test]
fn a_hedge_is_not_charged_beside_the_request_that_it_is_of() {
    let slow = |_: &_| {
        Script::new()
            .wait(std::time::Duration::from_millis(300))
            .stream()
            .tokens(1, std::time::Duration::ZERO)
            .done()
            .finish()
    };
    let first = answering(slow);
    let hedge = ", hedge: { quantile: 50, floor: 1ms, ceiling: 10ms, budget: 100 }";
    let fixture = proxy(&first, answering(|_| chat(30, 20)), hedge);
    for _ in 0..3 {
        assert_eq!(asked(&fixture, &ask("app-a")).status, 200);
    }
    fixture
        .wait_until("all have ended", |fixture| fixture.count("firstbyte_streams_in_flight") == 0);
    assert!(fixture.count("firstbyte_hedges_total") >= 1, "some were hedged");
    let (requests, made, open, _) = charged(&fixture);
    assert_eq!((requests, made, open), (3, 3, 0));
}
