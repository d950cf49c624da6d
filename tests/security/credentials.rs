//! Promise 38: where the proxy has a key of its own, or is told to send none, nothing by which a client proves who it
//! is goes upstream, in whatever slot it stands.

use firstbyte::config::Config;
use http::HeaderName;
use loadtest::upstream::{RequestSeen, Script};

use crate::support::fixture::{Fixture, KEY};
use crate::support::message::Ask;
use crate::support::pairing::{CLIENTS, ORIGINS, upstream};

const CANARY: &str = "canary-theirs";

/// Headers that some provider, gateway, cloud or sign-on knows. The list of the documentation is longer: a unit
/// test of `upstream::stream::marks` compares that.
const SLOTS: [&str; 24] = [
    "authorization",
    "x-api-key",
    "api-key",
    "x-goog-api-key",
    "x-litellm-api-key",
    "cookie",
    "ocp-apim-subscription-key",
    "x-amz-security-token",
    "x-amzn-oidc-accesstoken",
    "x-auth-request-access-token",
    "x-forwarded-access-token",
    "x-ms-token-aad-access-token",
    "x-goog-iap-jwt-assertion",
    "x-functions-key",
    "x-auth-token",
    "x-access-token",
    "x-csrf-token",
    "x-vault-token",
    "private-token",
    "cf-access-jwt-assertion",
    "cf-access-client-secret",
    "openai-organization",
    "openai-project",
    "proxy-authorization",
];

const PARAMETERS: [&str; 9] = [
    "key",
    "api_key",
    "api-key",
    "k%65y",
    "access_token",
    "subscription-key",
    "X-Amz-Security-Token",
    "x-amz-signature",
    "token",
];

fn with_canaries() -> Ask {
    let query: Vec<_> =
        PARAMETERS.iter().map(|name| format!("{name}={CANARY}&{name}-mine=1")).collect();
    let ask = Ask::post(&format!("/v1/models?limit=2&{}", query.join("&")), "{}");
    let ask = SLOTS.iter().fold(ask, |ask, slot| ask.header(slot, &format!("a {CANARY}")));
    // As a browser, which can set no header there.
    let offered =
        format!("realtime, openai-insecure-api-key.{CANARY}, openai-project.{CANARY}, v1");
    let ask = ask.header("sec-websocket-protocol", &offered).header("x-mine", "1");
    ask.trailer("x-api-key", CANARY).trailer("cookie", CANARY).trailer("x-sum", "1")
}

/// The same in all ways in which HTTP can be spoken.
fn each_way(change: impl Fn(&mut Config), test: impl Fn(&RequestSeen)) {
    for origin in ORIGINS {
        let answering = upstream().respond(|_| Script::new().answer(200, &[], ""));
        let fixture = origin.configured(answering, &change);
        for speaks in CLIENTS {
            eprintln!("client {speaks:?}, upstream {origin:?}");
            assert_eq!(speaks.connect(&fixture).ask(&with_canaries()).status, 200);
            test(&last(&fixture));
        }
    }
}

fn last(fixture: &Fixture) -> RequestSeen {
    fixture.upstream.log().requests.last().cloned().expect("a request")
}

/// Nothing of the client's is there that is not to be, and all of it that is no secret.
fn assert_clean(seen: &RequestSeen) {
    assert!(!seen.path.contains(CANARY), "{}", seen.path);
    for line in seen.headers.iter().chain(&seen.trailers) {
        let value = String::from_utf8_lossy(&line.value);
        assert!(!value.contains(CANARY), "{}: {value}", line.name);
    }
    assert_eq!(seen.header("sec-websocket-protocol"), Some("realtime, v1"));
    assert_eq!(seen.header("x-mine"), Some("1"));
    let mine: Vec<_> = PARAMETERS.iter().map(|name| format!("&{name}-mine=1")).collect();
    assert_eq!(seen.path, format!("/v1/models?limit=2{}", mine.concat()));
}

#[test]
fn with_a_key_of_ours_no_credential_of_the_clients_goes_upstream() {
    each_way(
        |_| {},
        |seen| {
            assert_clean(seen);
            assert_eq!(seen.header_values("authorization"), [format!("Bearer {KEY}")]);
        },
    );
}

#[test]
fn with_a_key_in_another_header_neither() {
    each_way(
        |config| {
            config.upstreams[0].outgoing.auth_header = HeaderName::from_static("x-api-key");
        },
        |seen| {
            assert_clean(seen);
            assert_eq!(seen.header_values("x-api-key"), [KEY]);
            assert_eq!(seen.header("authorization"), None);
        },
    );
}

#[test]
fn without_any_key_neither() {
    each_way(|config| config.upstreams[0].key = None, assert_clean);
}

#[test]
fn what_the_operator_lets_through_passes_alone() {
    each_way(
        |config| {
            let outgoing = &mut config.upstreams[0].outgoing;
            outgoing.forward_headers = vec![HeaderName::from_static("cookie")];
            outgoing.forward_query = vec!["token".to_owned()];
        },
        |seen| {
            assert_eq!(seen.header("cookie"), Some(&*format!("a {CANARY}")));
            assert!(seen.path.contains(&format!("&token={CANARY}")), "{}", seen.path);
            let headers = seen.headers.iter().filter(|line| {
                line.name != "cookie" && String::from_utf8_lossy(&line.value).contains(CANARY)
            });
            assert_eq!(headers.count(), 0);
            assert_eq!(seen.path.matches(CANARY).count(), 1, "{}", seen.path);
        },
    );
}

#[test]
fn where_the_clients_own_identity_is_forwarded_it_is_whole() {
    each_way(
        |config| {
            config.upstreams[0].key = None;
            config.upstreams[0].forward_authorization = true;
        },
        |seen| {
            for slot in SLOTS {
                let never = ["x-forwarded-access-token", "proxy-authorization"].contains(&slot);
                let theirs = (!never).then(|| format!("a {CANARY}"));
                assert_eq!(seen.header(slot), theirs.as_deref(), "{slot}");
            }
            assert_eq!(seen.path.matches(CANARY).count(), PARAMETERS.len(), "{}", seen.path);
        },
    );
}
