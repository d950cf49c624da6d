use std::time::Duration;

use loadtest::upstream::{Script, Upstream};

use super::{assert_same, for_both};
use crate::fixture::Fixture;

#[test]
fn each_status_of_the_upstream_is_its_class_with_all_that_it_said() {
    let plain = Upstream::builder().clear().http1().start().expect("an upstream");
    let secure = Upstream::builder().tls().http2().start().expect("an upstream");
    let proxy = Fixture::start(&secure);
    for_both(|sdk| {
        let direct = sdk.passes(&plain.base_url(), "errors", &[])?;
        let through = sdk.passes(&proxy.base_url(), "errors", &[])?;
        assert_same(sdk, &direct, &through);
        Some(())
    });
}

#[test]
fn a_rate_limit_is_retried_by_the_sdk_and_by_nobody_else() {
    let upstream = Upstream::builder()
        .tls()
        .http2()
        .respond(|seen| match seen.header("x-stainless-retry-count") {
            Some("0") => Script::new().rate_limited(Duration::ZERO),
            _ => Script::new().stream().tokens(3, Duration::ZERO).done(),
        })
        .start()
        .expect("an upstream");
    let proxy = Fixture::start(&upstream);
    for_both(|sdk| {
        let before = upstream.log().requests.len();
        sdk.passes(&proxy.base_url(), "retry", &["retries=2"])?;
        assert_eq!(upstream.log().requests.len() - before, 2, "{sdk:?}");
        Some(())
    });
}
