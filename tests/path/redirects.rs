//! A client that follows an upstream's redirect stays with the proxy.

use firstbyte::config::{Protocol, Redirects};
use loadtest::upstream::{Builder, Script, Seen};

use crate::support::group::Several;
use crate::support::message::Ask;
use crate::support::pairing::{CLIENTS, Origin, every_pairing, upstream};
use crate::support::peers::http1_client::Http1;

/// Redirects to where `x-to` says; `SELF` in it is the address by which it was asked.
fn redirecting() -> Builder {
    upstream().respond(|seen: &Seen| {
        let at = seen.header("host").map(str::to_owned).or_else(|| seen.authority.clone());
        let to = seen.header("x-to").expect("a place").replace("SELF", &at.expect("an address"));
        Script::new().answer(307, &[("location", &to)], "")
    })
}

fn sent_to(client: &mut Http1, to: &str) -> String {
    let answer = client.ask(&Ask::post("/v1/models/", "{}").header("x-to", to));
    assert_eq!(answer.status, 307);
    answer.header("location").expect("a place").to_owned()
}

#[test]
fn the_upstreams_own_address_becomes_the_clients_path() {
    every_pairing(redirecting, |_, client, _| {
        for (to, expected) in [
            ("http://SELF/v1/models", "/v1/models"),
            ("https://SELF/v1/models?a=1#b", "/v1/models?a=1#b"),
            ("//SELF/v1/models", "/v1/models"),
            ("/v1/models", "/v1/models"),
            ("models", "models"),
            ("https://elsewhere.test/v1/models", "https://elsewhere.test/v1/models"),
        ] {
            let answer = client.ask(&Ask::post("/v1/models/", "{}").header("x-to", to));
            assert_eq!(answer.header("location"), Some(expected), "{to}");
        }
    });
}

/// What no route leads to, and what would lead to another host, stays as it is.
#[test]
fn a_place_that_the_client_cannot_reach_is_left_alone() {
    let fixture = Origin::ClearHttp1.configured(redirecting(), |config| {
        config.upstreams[0].base_path = "/openai/v1".into();
    });
    let mut client = Http1::new(fixture.connect());
    let address = fixture.upstream.addr();
    for (to, expected) in [
        ("http://SELF/openai/v1/models", "/v1/models"),
        ("/openai/v1/models", "/v1/models"),
        ("http://SELF/login", &*format!("http://{address}/login")),
        ("http://SELF/openai/v1beta", &*format!("http://{address}/openai/v1beta")),
    ] {
        assert_eq!(sent_to(&mut client, to), expected, "{to}");
    }
}

#[test]
fn an_operator_can_have_them_pass() {
    let fixture = Origin::ClearHttp1.configured(redirecting(), |config| {
        config.upstreams[0].redirects = Redirects::Pass;
    });
    let mut client = Http1::new(fixture.connect());
    let expected = format!("http://{}/v1/models", fixture.upstream.addr());
    assert_eq!(sent_to(&mut client, "http://SELF/v1/models"), expected);
}

/// An upstream repeats the query that it was asked with, and ours may be a key.
#[test]
fn no_redirect_shows_the_client_what_we_added_to_the_query() {
    for (redirects, speaks) in [Redirects::Rewrite, Redirects::Pass].into_iter().zip(CLIENTS) {
        let repeats = upstream().respond(|seen: &Seen| {
            let to = format!("https://sso.test{}", seen.path);
            Script::new().answer(302, &[("location", &to)], "")
        });
        let fixture = Origin::ClearHttp1.configured(repeats, |config| {
            config.upstreams[0].redirects = redirects;
            config.upstreams[0].outgoing.query =
                vec![("code".to_owned(), "sk-canary".to_owned().into())];
        });
        let answer = speaks.connect(&fixture).ask(&Ask::get("/v1/x?a=1"));
        assert_eq!(answer.header("location"), Some("https://sso.test/v1/x?a=1"));
        let log = fixture.upstream.log();
        assert_eq!(log.requests.last().expect("a request").path, "/v1/x?a=1&code=sk-canary");
    }
}

#[test]
fn a_member_that_sends_on_to_another_leaves_the_client_on_its_route() {
    let several = Several::of(
        vec![redirecting().clear().http1(), redirecting().clear().http1()],
        Protocol::Http1,
        |_| {},
    );
    let to = format!("http://{}/v1/models", several.others[0].addr());
    let mut client = Http1::new(several.fixture.connect());
    assert_eq!(sent_to(&mut client, &to), "/v1/models");
}
