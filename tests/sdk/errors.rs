use std::io::Write;
use std::net::TcpStream;
use std::time::Duration;

use loadtest::upstream::{Builder, Script, Upstream};
use serde_json::Value;

use super::program::Sdk;
use super::{assert_same, for_both};
use crate::support::fixture::Fixture;

#[test]
fn each_status_of_the_upstream_is_its_class_with_all_that_it_said() {
    let plain = Upstream::builder().clear().http1().start().expect("an upstream");
    let proxy = Fixture::start(Upstream::builder().tls().http2());
    for_both(|sdk| {
        let direct = sdk.passes(&plain.base_url(), "errors", &[])?;
        let through = sdk.passes(&proxy.base_url(), "errors", &[])?;
        assert_same(sdk, &direct, &through);
        // What the mock says in every error but its 429: the upstream's id, not ours.
        assert_eq!(through[0].seen[0]["has_request_id"], true, "{sdk:?}: {:?}", through[0].seen[0]);
        Some(())
    });
}

/// The first attempt of an SDK is refused with `first`; any further one is answered.
fn answered_when_retried(first: Script) -> Builder {
    Upstream::builder().tls().http2().respond(move |seen| {
        match seen.header("x-stainless-retry-count") {
            Some("0") => first.clone(),
            _ => Script::new().stream().tokens(3, Duration::ZERO).done(),
        }
    })
}

#[test]
fn a_rate_limit_is_retried_by_the_sdk_and_by_nobody_else() {
    let limited = Script::new().rate_limited(Duration::ZERO);
    let proxy = Fixture::start(answered_when_retried(limited));
    for_both(|sdk| {
        let before = proxy.upstream.log().requests.len();
        sdk.passes(&proxy.base_url(), "retry", &["retries=2"])?;
        assert_eq!(proxy.upstream.log().requests.len() - before, 2, "{sdk:?}");
        Some(())
    });
}

#[test]
fn an_upstream_that_forbids_to_retry_is_obeyed() {
    let hopeless = Script::new().answer(500, &[("x-should-retry", "false")], "{}");
    let proxy = Fixture::start(answered_when_retried(hopeless));
    for_both(|sdk| {
        let before = proxy.upstream.log().requests.len();
        let verdicts = sdk.run(&proxy.base_url(), "retry", &["retries=2"])?;
        assert!(!verdicts[0].ok, "{sdk:?}: {verdicts:?}");
        assert_eq!(proxy.upstream.log().requests.len() - before, 1, "{sdk:?}");
        Some(())
    });
}

#[test]
fn a_retry_that_finds_the_proxy_less_busy_is_answered() {
    let proxy = Fixture::configured(Upstream::builder().tls().http2(), |config| {
        config.limits.streams = 1;
    });
    for_both(|sdk| {
        let before = proxy.upstream.log().requests.len();
        let held = hold_a_stream(&proxy);
        proxy
            .wait_until("the stream is held", |proxy| proxy.upstream.log().requests.len() > before);
        assert_refused(sdk, &proxy.base_url(), "InternalServerError", 503, "busy")?;
        drop(held);
        sdk.passes(&proxy.base_url(), "retry", &["retries=5"])?;
        Some(())
    });
}

#[test]
fn a_path_without_a_route_is_not_found() {
    let proxy = Fixture::start(Upstream::builder().tls().http2());
    let elsewhere = format!("http://{}/elsewhere", proxy.address());
    for_both(|sdk| assert_refused(sdk, &elsewhere, "NotFoundError", 404, "no_route").map(drop));
}

#[test]
fn an_upstream_that_is_not_there_is_an_internal_server_error() {
    let proxy = Fixture::unready(Upstream::builder().tls().http2(), |config| {
        // Reserved, and nobody on loopback listens there.
        config.upstreams[0].port = 1;
    });
    let url = proxy.base_url();
    for_both(|sdk| {
        assert_refused(sdk, &url, "InternalServerError", 502, "connect_refused").map(drop)
    });
}

#[test]
fn an_upstream_that_never_answers_is_an_internal_server_error_by_the_deadline() {
    let silent = Upstream::builder().tls().http2().script(Script::new().early().stall());
    let proxy = Fixture::configured(silent, |config| {
        config.upstreams[0].deadlines.response_head = Duration::from_millis(300);
    });
    let url = proxy.base_url();
    for_both(|sdk| assert_refused(sdk, &url, "InternalServerError", 504, "head_timeout").map(drop));
}

#[test]
fn a_pool_without_a_free_stream_is_an_internal_server_error_that_says_when_to_retry() {
    let proxy = Fixture::configured(Upstream::builder().tls().http2(), |config| {
        let pool = &mut config.upstreams[0].pool;
        (pool.min_connections, pool.max_connections, pool.streams_per_connection) = (1, 1, 1);
        pool.queue_timeout = Duration::from_millis(200);
    });
    let _held = hold_a_stream(&proxy);
    proxy.wait_until("the stream is held", |proxy| !proxy.upstream.log().requests.is_empty());
    let url = proxy.base_url();
    for_both(|sdk| {
        let seen = assert_refused(sdk, &url, "InternalServerError", 503, "pool_queue_timeout")?;
        assert!(seen["retry_after"].is_string(), "{sdk:?}: {seen}");
        Some(())
    });
}

/// A request whose answer begins and then keeps its stream for as long as the connection lives.
fn hold_a_stream(proxy: &Fixture) -> TcpStream {
    let mut client = proxy.connect();
    let body = r#"{"model":"m","stream":true,"messages":[{"role":"user","content":"hold"}]}"#;
    write!(
        client,
        "POST /v1/chat/completions HTTP/1.1\r\nhost: proxy\r\ncontent-type: application/json\r\n\
         x-mock-gap-us: 600000000\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .expect("the proxy reads");
    client
}

/// One request, refused by the proxy itself; what the application saw of it.
fn assert_refused(sdk: Sdk, url: &str, class: &str, status: u16, code: &str) -> Option<Value> {
    let options = [format!("class={class}"), format!("status={status}"), format!("code={code}")];
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    let verdicts = sdk.passes(url, "refused", &options)?;
    Some(verdicts[0].seen.clone())
}
