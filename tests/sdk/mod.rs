//! What an application sees through the API vendor's own SDKs, in Python and in Node.
//!
//! The programs in `python/` and `node/` hold the cases; `install` fetches the SDKs at pinned versions.

/// Clients with keys and limits of the proxy's own.
mod clients;
/// How a cut answer looks to an application: like an error, whatever was cut, wherever.
mod cuts;
/// Answers that come while the request is still sent.
mod early_answers;
/// Errors, the upstream's and our own, and whose retries they cause.
mod errors;
/// Comments of the proxy's own in a stream that is silent.
mod heartbeats;
/// Routes that forward by the model.
mod models;
/// The SDK programs as values.
mod program;

use loadtest::upstream::{Builder, Upstream};

use self::program::{Sdk, Verdict};
use crate::support::fixture::Fixture;

/// Runs `check` for each SDK; where one can't be fetched, that has been said, and the other still runs.
fn for_both(check: impl Fn(Sdk) -> Option<()>) {
    for sdk in Sdk::BOTH {
        let _ = check(sdk);
    }
}

#[test]
fn applications_see_the_same_direct_and_through_the_proxy() {
    assert_nothing_differs(Upstream::builder().tls().http2());
}

#[test]
fn applications_see_the_same_from_an_upstream_that_speaks_only_http_1() {
    assert_nothing_differs(Upstream::builder().clear().http1());
}

fn assert_nothing_differs(upstream: Builder) {
    let direct = Upstream::builder().clear().http1().start().expect("an upstream");
    let proxy = Fixture::start(upstream);
    for_both(|sdk| {
        let gone = streams_ended(&proxy, "client_gone");
        let verdicts = (
            sdk.passes(&direct.base_url(), "api", &[])?,
            sdk.passes(&proxy.base_url(), "api", &[])?,
        );
        assert_same(sdk, &verdicts.0, &verdicts.1);
        // Of all the cases one leaves early. The others may close behind `[DONE]`, which is an end like any other.
        assert_eq!(streams_ended(&proxy, "client_gone") - gone, 1, "{sdk:?}");
        assert_eq!(streams_ended(&proxy, "upstream_failed"), 0, "{sdk:?}");
        Some(())
    });
}

/// How many requests have ended so, once none is under way.
fn streams_ended(proxy: &Fixture, outcome: &str) -> u64 {
    proxy.wait_until("no stream is open", |proxy| {
        proxy.metric("firstbyte_streams_in_flight") == 0.0
    });
    proxy.metric(&format!("firstbyte_stream_end_total{{outcome=\"{outcome}\"}}")) as u64
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
