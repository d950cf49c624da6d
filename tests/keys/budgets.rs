//! Budgets: used up by what answers cost, never by what was only reserved, and no throttling to clients.

use std::time::Duration;

use super::{answering, ask, asked, chat, error, key, proxy, usage};
use crate::support::fixture::Fixture;
use crate::support::peers::http1_client::Http1;

use loadtest::upstream::Script;

fn clients(budget: &str) -> String {
    format!("clients:\n  - name: app-a\n    key: {}\n    budget: {budget}\n", key("app-a"))
}

fn left(fixture: &Fixture, limit: &str) -> f64 {
    fixture.metric(&format!("firstbyte_client_balance{{client=\"app-a\",limit=\"{limit}\"}}"))
}

#[test]
fn a_budget_that_is_used_up_is_told_as_such_and_not_to_be_retried() {
    let fixture = proxy(answering(|_| chat(300, 200)), &clients("{ tokens: 1000, per: day }"));
    for _ in 0..2 {
        assert_eq!(asked(&fixture, &ask("app-a")).status, 200);
    }
    fixture.wait_until("both are charged", |fixture| left(fixture, "budget_tokens") <= 0.0);
    let refused = asked(&fixture, &ask("app-a"));
    let (kind, code, message) = error(&refused);
    assert_eq!((refused.status, &*kind, &*code), (429, "insufficient_quota", "insufficient_quota"));
    assert_eq!(refused.header("x-should-retry"), Some("false"));
    assert_eq!((refused.header("retry-after"), refused.header("retry-after-ms")), (None, None));
    assert!(
        message.contains("budget of client app-a is used up: 1000 tokens per day"),
        "{message}"
    );
    assert!(message.contains("It begins anew on 20"), "{message}");
}

#[test]
fn money_is_charged_by_the_price_table() {
    let prices =
        "prices:\n  - model: \"*\"\n    input: 2.5\n    cached_input: 1.25\n    output: 10\n";
    let script = |_: &_| {
        let usage = r#""usage":{"prompt_tokens":1000,"completion_tokens":100,"prompt_tokens_details":{"cached_tokens":400}}"#;
        Script::new().answer(
            200,
            &[("content-type", "application/json")],
            format!("{{\"choices\":[],{usage}}}"),
        )
    };
    let fixture =
        proxy(answering(script), &format!("{}{prices}", clients("{ usd: 1, per: month }")));
    assert_eq!(asked(&fixture, &ask("app-a")).status, 200);
    // 600 at 2.5, 400 at 1.25 and 100 at 10 dollars a million.
    let cost = 0.0015 + 0.0005 + 0.001;
    fixture.wait_until("it is charged", |fixture| {
        (left(fixture, "budget_usd") - (1.0 - cost)).abs() < 1e-9
    });
    let log = fixture.access_log();
    assert!((log[0]["cost_usd"].as_f64().expect("a number") - cost).abs() < 1e-9, "{log:?}");
    assert_eq!(log[0]["usage"], serde_json::json!({ "input": 1000, "cached": 400, "output": 100 }));
    assert_eq!(log[0]["estimated"], false);
}

#[test]
fn two_hundred_streams_at_once_use_no_more_than_is_left_and_what_they_cost_beyond_their_reserve() {
    const COST: u64 = 100;
    let wait = Duration::from_millis(200);
    let script = move |_: &_| {
        let last = format!("data: {{\"choices\":[],{}}}\n\ndata: [DONE]\n\n", usage(60, 40));
        Script::new().stream().tokens(1, Duration::ZERO).wait(wait).body(last).finish()
    };
    let fixture = proxy(answering(script), &clients("{ tokens: 2000, per: day }"));
    // Until one has ended, a tenth of the budget is reserved for each.
    assert_eq!(asked(&fixture, &ask("app-a")).status, 200);
    fixture.wait_until("it is charged", |fixture| left(fixture, "budget_tokens") <= 1_900.0);
    let served = std::thread::scope(|scope| {
        let all: Vec<_> = (0..200)
            .map(|_| scope.spawn(|| Http1::new(fixture.connect()).ask(&ask("app-a")).status))
            .collect();
        all.into_iter()
            .map(|one| one.join().expect("a status"))
            .filter(|status| *status == 200)
            .count()
    });
    // 1,900 are left, and each reserves the 100 that the first one cost.
    assert_eq!(served as u64, 1_900 / COST);
    fixture.wait_until("all are charged", |fixture| left(fixture, "budget_tokens") <= 0.0);
    assert!(
        left(&fixture, "budget_tokens").abs() < 1e-9,
        "none of it is lost or reserved for ever"
    );
}

#[test]
fn a_stream_that_is_left_is_charged_by_what_was_seen_of_it_and_marked() {
    let script = |_: &_| Script::new().stream().tokens(5, Duration::from_millis(1)).stall();
    let fixture = proxy(answering(script), &clients("{ tokens: 1000000, per: day }"));
    let mut client = Http1::new(fixture.connect());
    client.send(&ask("app-a"));
    let mut answer = client.head(&ask("app-a"));
    let mut read = 0;
    while read < 5 {
        let piece = client.piece(&mut answer).expect("more");
        read += piece.windows(6).filter(|text| text == b"data: ").count();
    }
    drop(client);
    fixture.wait_until("it is charged", |fixture| {
        fixture.count("firstbyte_client_estimated_requests_total{client=\"app-a\"}") == 1
    });
    let used = 1_000_000.0 - left(&fixture, "budget_tokens");
    assert!((5.0..50.0).contains(&used), "neither nothing nor what was reserved: {used}");
    assert_eq!(fixture.count("firstbyte_usage_unknown_total{reason=\"cut\"}"), 1);
    let log = fixture.access_log();
    assert_eq!((&log[0]["estimated"], &log[0]["outcome"]), (&true.into(), &"client_gone".into()));
}

#[test]
fn an_upstreams_refusal_and_a_failure_cost_nothing() {
    let script = |seen: &loadtest::upstream::Seen| match seen.path_only() {
        "/v1/refused" => Script::new().error(400, "invalid_request_error", None, "No."),
        "/v1/broken" => Script::new().cut(loadtest::upstream::Cut::Rst),
        _ => chat(1, 1),
    };
    let fixture = proxy(answering(script), &clients("{ tokens: 1000, per: total }"));
    for (path, status) in [("/v1/refused", 400), ("/v1/broken", 502)] {
        let ask = crate::support::message::Ask { target: path.into(), ..ask("app-a") };
        assert_eq!(asked(&fixture, &ask).status, status, "{path}");
    }
    fixture.wait_until("nothing is reserved", |fixture| left(fixture, "budget_tokens") >= 1000.0);
}
