//! What a request costs goes by the model that it names.

use loadtest::upstream::{RequestSeen, Script, Seen};

use super::{at, bodies, ok, with_body};
use crate::keys::{answering, ask, asked, key, proxy, usage};
use crate::support::message::Length;
use crate::support::refusal::assert_refused;

/// Two models at two prices, and what names none at the price of all others.
#[test]
fn money_goes_by_the_model_that_the_request_names() {
    let clients = format!(
        "clients:\n  - name: app-a\n    key: {}\n    budget: {{ usd: 1, per: month }}\n\
         prices:\n  - {{ model: \"cheap-*\", input: 1, output: 2 }}\n  \
         - {{ model: dear, input: 100, output: 200 }}\n  - {{ model: \"*\", input: 10, output: 20 }}\n",
        key("app-a")
    );
    let script = |seen: &Seen| {
        let body = format!(r#"{{"choices":[],{}}}"#, usage(1_000, 100));
        assert!(seen.path_only().starts_with("/v1/"));
        Script::new().answer(200, &[("content-type", "application/json")], body)
    };
    let fixture = proxy(answering(script), &clients);
    let chat = "/v1/chat/completions";
    let mut spent = 0.0;
    for (path, body, cost) in [
        (chat, r#"{"model":"cheap-1"}"#, 0.001_2),
        (chat, r#"{"messages":[],"model":"dear"}"#, 0.12),
        (chat, r#"{"model":"other"}"#, 0.012),
        (chat, "{}", 0.012),
        // Where two are named the upstream chooses.
        ("/v1/deployments/dear/chat/completions", r#"{"model":"cheap-1"}"#, 0.12),
        ("/v1/deployments/cheap-1/chat/completions", r#"{"model":"dear"}"#, 0.12),
        (chat, r#"{"model":"cheap-1","x":1}"#, 0.001_2),
    ] {
        assert_eq!(asked(&fixture, &at(path, with_body("app-a", body))).status, 200, "{body}");
        spent += cost;
        let left = "firstbyte_client_balance{client=\"app-a\",limit=\"budget_usd\"}";
        fixture.wait_until("it is charged to the nanodollar", |fixture| {
            (fixture.metric(left) - (1.0 - spent)).abs() < 1e-9
        });
    }
    let twice = asked(&fixture, &with_body("app-a", r#"{"model":"cheap-1","model":"dear"}"#));
    assert_refused(&twice, 400, "model_unreadable");
    let log = fixture.access_log();
    let costs: Vec<_> = log.iter().filter_map(|line| line["cost_usd"].as_f64()).collect();
    assert!(costs.len() >= 7 && (costs[0] - 0.001_2).abs() < 1e-9, "{costs:?}");
    assert!((costs[1] - 0.12).abs() < 1e-9, "{costs:?}");
}

/// For who is only charged by it the model need not stand in the first 32 MiB: files have none. What then comes late
/// would have been cheap.
#[test]
fn a_large_file_of_a_client_with_prices_goes_up_unless_a_model_comes_behind_it() {
    let clients = format!(
        "clients:\n  - name: app-a\n    key: {}\n  - name: held\n    key: {}\n    models: [\"*\"]\n\
         prices:\n  - {{ model: \"*\", input: 10, output: 20 }}\n",
        key("app-a"),
        key("held"),
    );
    let fixture = proxy(answering(|_| ok()), &clients);
    let part =
        |name: &str| format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n");
    let file = "x".repeat(33 * 1024 * 1024);
    let upload = |name: &str, end: &str| {
        let body = format!("{}{file}\r\n{end}--b--\r\n", part("file"));
        at("/v1/files", ask(name))
            .header("content-type", "multipart/form-data; boundary=b")
            .body(vec![body.into()], Length::Known)
    };
    assert_eq!(asked(&fixture, &upload("app-a", "")).body(), b"ok");
    let late = upload("app-a", &format!("{}dear\r\n", part("model")));
    assert_refused(&asked(&fixture, &late), 400, "model_unreadable");
    assert_refused(&asked(&fixture, &upload("held", "")), 400, "model_unreadable");
    let whole = |seen: &RequestSeen| seen.body_sha256.is_some();
    let seen = bodies(&fixture.upstream);
    assert_eq!((seen.len(), seen.iter().filter(|seen| whole(seen)).count()), (2, 1));
}
