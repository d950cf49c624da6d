//! Requests and tokens a minute, and requests at once: of a client and of its groups.

use std::time::Duration;

use super::{answering, ask, asked, chat, error, key, proxy};
use crate::support::message::{Answer, Ask};
use crate::support::pairing::CLIENTS;
use crate::support::peers::http1_client::Http1;

use loadtest::upstream::Script;

fn client(name: &str, rest: &str) -> String {
    format!("  - name: {name}\n    key: {}\n{rest}", key(name))
}

fn limited(answer: &Answer) -> (String, String, String) {
    assert_eq!(answer.status, 429, "{answer:?}");
    assert_eq!(answer.header("x-should-retry"), None);
    error(answer)
}

#[test]
fn so_many_requests_a_minute_pass_and_the_next_is_told_when_to_come_back() {
    let text = format!("clients:\n{}", client("app-a", "    limits: { rpm: 3 }\n"));
    for speaks in CLIENTS {
        let fixture = proxy(answering(|_| chat(3, 2)), &text);
        let mut connection = speaks.connect(&fixture);
        for left in ["2", "1", "0"] {
            let answer = connection.ask(&ask("app-a"));
            assert_eq!(answer.status, 200, "{answer:?}");
            assert_eq!(answer.header("x-ratelimit-limit-requests"), Some("3"));
            assert_eq!(answer.header("x-ratelimit-remaining-requests"), Some(left));
            assert!(
                answer.header("x-ratelimit-reset-requests").is_some_and(|text| text.ends_with('s'))
            );
            assert_eq!(answer.header("x-ratelimit-limit-tokens"), None);
        }
        let refused = connection.ask(&ask("app-a"));
        let (kind, code, message) = limited(&refused);
        assert_eq!((&*kind, &*code), ("requests", "rate_limit_exceeded"));
        assert!(
            message.contains("client app-a") && message.contains("(rpm): limit 3"),
            "{message}"
        );
        let seconds: u64 = refused.header("retry-after").expect("one").parse().expect("seconds");
        let millis: u64 =
            refused.header("retry-after-ms").expect("one").parse().expect("milliseconds");
        assert!(
            (1..=20).contains(&seconds) && seconds == millis.div_ceil(1000),
            "{seconds} {millis}"
        );
        assert_eq!(refused.header("x-ratelimit-remaining-requests"), Some("0"));
        assert_eq!(fixture.upstream.requests(), 3);
        assert_eq!(
            fixture.count("firstbyte_client_refusals_total{client=\"app-a\",limit=\"rpm\"}"),
            1
        );
    }
}

#[test]
fn who_comes_back_after_retry_after_is_let_in() {
    let text = format!("clients:\n{}", client("app-a", "    limits: { rpm: 120, burst: 1ms }\n"));
    let fixture = proxy(answering(|_| chat(3, 2)), &text);
    let mut connection = Http1::new(fixture.connect());
    assert_eq!(connection.ask(&ask("app-a")).status, 200);
    for _ in 0..3 {
        let refused = connection.ask(&ask("app-a"));
        let millis = refused.header("retry-after-ms").expect("when").parse().expect("milliseconds");
        std::thread::park_timeout(Duration::from_millis(millis));
        assert_eq!(connection.ask(&ask("app-a")).status, 200);
    }
}

#[test]
fn tokens_are_counted_by_what_the_answer_says_and_fall_from_stream_to_stream() {
    let text = format!("clients:\n{}", client("app-a", "    limits: { tpm: 1000 }\n"));
    let fixture = proxy(answering(|_| chat(200, 100)), &text);
    let mut left = Vec::new();
    let refused = loop {
        let answer = asked(&fixture, &ask("app-a"));
        if answer.status != 200 {
            break answer;
        }
        let text = answer.header("x-ratelimit-remaining-tokens").expect("on a stream").to_owned();
        left.push(text.parse::<u64>().expect("a number"));
    };
    // 1000, 700, 400 and 100 are left before them; what is reserved is taken from what is shown.
    assert_eq!(left.len(), 4, "{left:?}");
    assert!(left.windows(2).all(|two| two[0] > two[1]), "{left:?}");
    let (kind, code, message) = limited(&refused);
    assert_eq!((&*kind, &*code), ("tokens", "rate_limit_exceeded"));
    assert!(message.contains("(tpm): limit 1000"), "{message}");
}

#[test]
fn a_place_is_held_until_the_stream_ends_or_its_client_leaves() {
    let text = format!("clients:\n{}", client("app-a", "    limits: { concurrent: 2 }\n"));
    let script = |_: &_| Script::new().stream().tokens(1, Duration::ZERO).stall();
    let fixture = proxy(answering(script), &text);
    let begin = || {
        let mut client = Http1::new(fixture.connect());
        client.send(&ask("app-a"));
        let head = client.head(&ask("app-a"));
        (client, head)
    };
    let (first, _second) = (begin(), begin());
    assert_eq!(first.1.status, 200);
    let refused = asked(&fixture, &ask("app-a"));
    let (_, code, message) = limited(&refused);
    assert_eq!(code, "rate_limit_exceeded");
    assert!(message.contains("(concurrent): at most 2 at once"), "{message}");
    drop(first);
    let balance = "firstbyte_client_balance{client=\"app-a\",limit=\"concurrent\"}";
    fixture.wait_until("its place is free", |fixture| fixture.count(balance) == 1);
    assert_eq!(begin().1.status, 200);
}

#[test]
fn what_a_group_refuses_its_client_has_not_counted() {
    let text = format!(
        "clients:\n{}{}client_groups:\n  team:\n    parent: company\n  company:\n    limits: {{ rpm: 2 }}\n",
        client("app-a", "    group: team\n    limits: { rpm: 10 }\n"),
        client("app-b", "    group: company\n"),
    );
    let fixture = proxy(answering(|_| chat(3, 2)), &text);
    assert_eq!(asked(&fixture, &ask("app-a")).status, 200);
    assert_eq!(asked(&fixture, &ask("app-b")).status, 200);
    for name in ["app-a", "app-b"] {
        let (_, _, message) = limited(&asked(&fixture, &ask(name)));
        assert!(message.contains("client group company"), "{message}");
    }
    let balance =
        |of: &str| fixture.count(&format!("firstbyte_client_balance{{{of},limit=\"rpm\"}}"));
    assert_eq!((balance("client=\"app-a\""), balance("client_group=\"company\"")), (9, 0));
    let (status, page) = fixture.admin("/clients/app-a");
    let page: serde_json::Value = serde_json::from_str(&page).expect("JSON");
    assert_eq!((status, &page["limits"][0]["left"]), (200, &9.into()));
    assert_eq!(
        (&page["group_limits"][0]["owner"], &page["group_limits"][0]["refused"]),
        (&"company".into(), &2.into())
    );
    assert_eq!(fixture.admin("/clients/nobody").0, 404);
}

#[test]
fn what_is_refused_elsewhere_counts_under_no_limit() {
    let text =
        format!("clients:\n{}", client("app-a", "    limits: { rpm: 10 }\n    routes: [/v1]\n"));
    let fixture = proxy(answering(|_| chat(3, 2)), &text);
    let balance = "firstbyte_client_balance{client=\"app-a\",limit=\"rpm\"}";
    let nowhere = Ask { target: "/nowhere".into(), ..ask("app-a") };
    let forbidden = Ask { target: "/other/x".into(), ..ask("app-a") };
    let trace = Ask { method: "TRACE".into(), ..ask("app-a") };
    assert_eq!(
        [&nowhere, &forbidden, &trace].map(|ask| asked(&fixture, ask).status),
        [404, 403, 405]
    );
    assert_eq!(fixture.count(balance), 10);
}

#[test]
fn without_limits_of_ours_the_upstreams_own_headers_pass() {
    let text =
        format!("clients:\n{}{}", client("free", ""), client("bound", "    limits: { rpm: 7 }\n"));
    let headers =
        [("x-ratelimit-remaining-requests", "4711"), ("x-ratelimit-limit-requests", "9000")];
    let script = move |_: &_| Script::new().answer(200, &headers, "{}");
    let fixture = proxy(answering(script), &text);
    let shown = |name| {
        let answer = asked(&fixture, &ask(name));
        answer.header_values("x-ratelimit-remaining-requests").join(",")
    };
    assert_eq!((&*shown("free"), &*shown("bound")), ("4711", "6"));
}
