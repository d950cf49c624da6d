//! The sum of what was charged is the sum of what was served, whatever became of the requests.
//!
//! At its full size it is 1,000 clients with 1,000 requests each, a million in all, which wants some minutes of a machine of
//! its own; `FIRSTBYTE_EACH=10000` has each client ask ten times as often:
//!
//! ```text
//! FIRSTBYTE_FULL=1 cargo test --release --test wire -- keys::accounting
//! ```

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use super::{ask, chat, file, key};
use crate::support::fixture::{Fixture, PATIENCE};
use crate::support::peers::http1_client::Http1;
use crate::support::size::size;

use loadtest::upstream::{Cut, Script, Seen, Upstream};
use serde_json::Value;

fn clients(count: usize) -> String {
    let mut text = String::from("clients:\n");
    for nth in 0..count {
        let name = format!("app-{nth}");
        let _ = writeln!(
            text,
            "  - name: {name}\n    key: {}\n    group: all\n    limits: {{ rpm: 1000000, tpm: 1000000000, concurrent: 100 }}\n    budget: {{ tokens: 1000000000, per: total }}",
            key(&name)
        );
    }
    text + "client_groups:\n  all:\n    limits: { concurrent: 1000, rpm: 100000000 }\n    budget: { tokens: 1000000000000, per: total }\n"
}

/// Some answers are whole, some are cut, refused, slow; by the request's number.
fn script(seen: &Seen) -> Script {
    let nth: u64 = seen.header("x-nth").and_then(|text| text.parse().ok()).unwrap_or(0);
    match nth % 5 {
        0 => Script::new().error(500, "server_error", None, "Broken."),
        1 => Script::new().stream().tokens(2, Duration::ZERO).cut(Cut::Rst),
        2 => Script::new().stream().tokens(1, Duration::ZERO).stall(),
        _ => chat(7, 3),
    }
}

/// Requests of each client.
fn each() -> usize {
    let wanted = std::env::var("FIRSTBYTE_EACH").ok();
    let wanted = wanted.map(|text| text.parse().expect("FIRSTBYTE_EACH is a number"));
    wanted.unwrap_or_else(|| size(20, 1_000))
}

/// What the access log says that requests came to: those whose upstream told it, and those that are estimates.
fn logged(log: &str) -> [u64; 2] {
    let mut sums = [0; 2];
    for line in log.lines() {
        let line: Value = serde_json::from_str(line).expect("a JSON line");
        let tokens = |of: &str| line["usage"][of].as_u64().unwrap_or(0);
        sums[usize::from(line["estimated"] == true)] += tokens("input") + tokens("output");
    }
    sums
}

#[test]
fn what_is_charged_is_what_was_served_under_cancels_cuts_failures_and_reloads() {
    let (count, each) = (size(50, 1_000), each());
    let upstream = Upstream::builder().clear().http1().log(false).respond(script);
    let upstream = upstream.start().expect("the mock upstream starts");
    let clients = clients(count) + "access_log_format: [usage, estimated]\n";
    let text = file(&upstream, 2, &clients);
    let fixture = Fixture::of_file(upstream, &text);
    assert!(fixture.proxy.wait_ready(PATIENCE), "ready");
    let (whole, begun) = (AtomicU64::new(0), AtomicU64::new(0));
    let threads = 8;
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let (fixture, whole, begun) = (&fixture, &whole, &begun);
            scope.spawn(move || {
                for client in (thread..count).step_by(threads) {
                    run(fixture, &format!("app-{client}"), each, whole, begun);
                }
            });
        }
        for _ in 0..3 {
            assert_eq!(fixture.ask_admin("POST", "/reload").0, 200);
        }
    });
    let (whole, begun) = (whole.load(Relaxed), begun.load(Relaxed));
    let series = |name: &str| fixture.count(&format!("firstbyte_client_{name}"));
    fixture.wait_until("all have ended", |fixture| {
        fixture.count("firstbyte_streams_in_flight") == 0
            && fixture.count("firstbyte_client_requests_total") >= begun
    });
    assert_eq!(series("requests_total"), begun, "each that was answered, once");
    let estimated = series("estimated_requests_total");
    assert!(estimated > 0 && series("tokens_total{kind=\"output\"}") >= whole * 3 + estimated);
    let used = series("tokens_total{kind=\"input\"}") + series("tokens_total{kind=\"output\"}");
    // Every budget, and the group's, has lost exactly that.
    let lost = |of: &str, most: f64| {
        most - fixture.metric(&format!("firstbyte_client_balance{{{of}limit=\"budget_tokens\"}}"))
    };
    let group = lost("client_group=\"all\",", 1e12);
    assert!((group - used as f64).abs() < 1e-3, "{group} of the group, {used}");
    let each_lost = lost("", 1e12 + 1e9 * count as f64) - group;
    assert!((each_lost - used as f64).abs() < 1e-3, "{each_lost} of clients, {used}");
    let places = fixture.metric("firstbyte_client_balance{limit=\"concurrent\"}");
    assert!(
        (places - (1_000.0 + 100.0 * count as f64)).abs() < 1e-9,
        "all places are back: {places}"
    );
    let log = fixture.log_file();
    let log = fixture.ended_with_log(&log);
    let [told, guessed] = logged(&log);
    assert_eq!(told, whole * 10, "what an upstream told, to the token");
    assert_eq!(told + guessed, used, "and nothing else was charged but estimates");
}

/// One client's requests, one after the other; of some it leaves before their end.
fn run(fixture: &Fixture, name: &str, each: usize, whole: &AtomicU64, begun: &AtomicU64) {
    let mut client = Http1::new(fixture.connect());
    for nth in 0..each {
        let ask = ask(name).header("x-nth", &nth.to_string());
        match nth % 5 {
            1 | 2 => {
                client.send(&ask);
                assert_eq!(client.head(&ask).status, 200);
                begun.fetch_add(1, Relaxed);
                // Left: cut by the upstream, or stalled until we go.
                client = Http1::new(fixture.connect());
            }
            _ => {
                let answer = client.ask(&ask);
                begun.fetch_add(1, Relaxed);
                whole.fetch_add(u64::from(answer.status == 200), Relaxed);
            }
        }
    }
}
