use loadtest::upstream::Upstream;

use super::for_both;
use super::program::Sdk;
use crate::keys::{key, proxy};
use crate::support::fixture::Fixture;

/// Clients for each refusal. A place for one request, and a new one every three seconds: longer than an SDK waits by itself
/// before its first retry.
fn clients() -> String {
    let one = |name: &str, rest: &str| format!("  - name: {name}\n    key: {}\n{rest}", key(name));
    format!(
        "clients:\n{}{}{}{}{}",
        one("off", "    disabled: true\n"),
        one("old", "    expires: 2020-01-01\n"),
        one("narrow", "    routes: [/other]\n"),
        one("broke", "    budget: { tokens: 1, per: total }\n"),
        one("paced", "    limits: { rpm: 20, burst: 1s }\n"),
    )
}

fn knowing() -> Fixture {
    let upstream = Upstream::builder().clear().http1().start().expect("the mock upstream starts");
    proxy(upstream, &clients())
}

/// What the proxy has answered with this status so far.
fn answered(proxy: &Fixture, code: u16) -> u64 {
    proxy.count(&format!("firstbyte_requests_total{{code=\"{code}\"}}"))
}

/// One call of an SDK that would retry twice, refused with this class; the requests that the proxy saw of it.
fn refused(
    proxy: &Fixture,
    sdk: Sdk,
    group: &str,
    options: [&str; 3],
    client: &str,
) -> Option<u64> {
    let [class, status, code] = options;
    let code_number = status.parse().expect("a status");
    let before = answered(proxy, code_number);
    let (class, status, code, key) = (
        format!("class={class}"),
        format!("status={status}"),
        format!("code={code}"),
        format!("key={}", key(client)),
    );
    let verdicts =
        sdk.passes(&proxy.base_url(), group, &["retries=2", &class, &status, &code, &key])?;
    assert!(!verdicts[0].seen.to_string().contains("canary"), "{sdk:?}: {:?}", verdicts[0].seen);
    proxy.wait_until("it is counted", |proxy| answered(proxy, code_number) > before);
    Some(answered(proxy, code_number) - before)
}

#[test]
fn who_may_not_is_told_by_the_right_class_and_asks_once() {
    let proxy = knowing();
    for_both(|sdk| {
        let unknown = ["AuthenticationError", "401", "invalid_api_key"];
        assert_eq!(refused(&proxy, sdk, "keyless", unknown, "off")?, 1, "{sdk:?}: none");
        for client in ["stranger", "off", "old"] {
            assert_eq!(refused(&proxy, sdk, "refused", unknown, client)?, 1, "{sdk:?}: {client}");
        }
        let elsewhere = ["PermissionDeniedError", "403", "route_not_allowed"];
        assert_eq!(refused(&proxy, sdk, "refused", elsewhere, "narrow")?, 1, "{sdk:?}");
        Some(())
    });
    assert_eq!(proxy.upstream.requests(), 0);
}

#[test]
fn a_budget_that_is_used_up_is_a_rate_limit_error_that_is_not_retried() {
    let proxy = knowing();
    for _ in 0..2 {
        // The first uses it up.
        crate::keys::asked(&proxy, &crate::keys::ask("broke"));
        proxy.wait_until("it is charged", |proxy| {
            proxy.count("firstbyte_client_requests_total{client=\"broke\"}") == 1
        });
    }
    for_both(|sdk| {
        let used_up = ["RateLimitError", "429", "insufficient_quota"];
        assert_eq!(refused(&proxy, sdk, "refused", used_up, "broke")?, 1, "{sdk:?}");
        Some(())
    });
    assert_eq!(proxy.upstream.requests(), 1);
}

#[test]
fn a_rate_limit_is_told_on_streams_and_retried_when_it_says() {
    let proxy = knowing();
    let key = format!("key={}", key("paced"));
    let headers = std::cell::RefCell::new(Vec::new());
    for_both(|sdk| {
        let (served, refused) = (proxy.upstream.requests(), answered(&proxy, 429));
        // The SDK's one retry, or another SDK's request of before, may need three seconds.
        let verdicts = sdk.passes(&proxy.base_url(), "limited", &["retries=1", &key])?;
        assert_eq!(proxy.upstream.requests() - served, 2, "{sdk:?}");
        assert!(answered(&proxy, 429) - refused >= 1, "{sdk:?}");
        headers.borrow_mut().push(verdicts[0].seen.clone());
        Some(())
    });
    let headers = headers.into_inner();
    assert!(headers.windows(2).all(|both| both[0] == both[1]), "{headers:?}");
}
