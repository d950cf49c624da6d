//! What an application sees through OpenAI's own SDKs, in Python and in Node.
//!
//! The programs in `python/` and `node/` hold the cases; `install` fetches the SDKs at pinned versions.

/// How a cut answer looks to an application: like an error, whatever was cut, wherever.
mod cuts;
/// Errors, the upstream's and our own, and whose retries they cause.
mod errors;
/// The SDK programs as values.
mod program;

use loadtest::upstream::Upstream;

use self::program::{Sdk, Verdict};
use crate::fixture::Fixture;

/// Runs `check` for each SDK; where one can't be fetched, that has been said, and the other still runs.
fn for_both(check: impl Fn(Sdk) -> Option<()>) {
    for sdk in Sdk::BOTH {
        let _ = check(sdk);
    }
}

#[test]
fn applications_see_the_same_direct_and_through_the_proxy() {
    let plain = Upstream::builder().clear().http1().start().expect("an upstream");
    let proxy = Fixture::start(Upstream::builder().tls().http2());
    for_both(|sdk| {
        let direct = sdk.passes(&plain.base_url(), "api", &[])?;
        let through = sdk.passes(&proxy.base_url(), "api", &[])?;
        assert_same(sdk, &direct, &through);
        Some(())
    });
}

#[test]
fn applications_see_the_same_from_an_upstream_that_speaks_only_http_1() {
    let plain = Upstream::builder().clear().http1().start().expect("an upstream");
    let proxy = Fixture::start(Upstream::builder().clear().http1());
    for_both(|sdk| {
        let direct = sdk.passes(&plain.base_url(), "api", &[])?;
        let through = sdk.passes(&proxy.base_url(), "api", &[])?;
        assert_same(sdk, &direct, &through);
        Some(())
    });
}

/// Case by case, so that a difference is told by its name and not as two pages of JSON.
fn assert_same(sdk: Sdk, direct: &[Verdict], through: &[Verdict]) {
    let names = |verdicts: &[Verdict]| -> Vec<String> {
        verdicts.iter().map(|verdict| verdict.case.clone()).collect()
    };
    assert_eq!(names(direct), names(through), "{sdk:?}");
    for (direct, through) in direct.iter().zip(through) {
        assert_eq!(direct.seen, through.seen, "{sdk:?} {}: direct, then proxied", direct.case);
    }
}
