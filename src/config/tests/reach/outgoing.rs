//! What an upstream is sent beside the key, and which of the client's credentials it sees.

use secrecy::{ExposeSecret, SecretString};

use crate::config::tests::{World, least};
use crate::config::{Config, Outgoing, Redirects, describe};

const CANARY: &str = "sk-canary-1f2e3d";

fn read(upstream: &str) -> Config {
    let world = World::default().var("KEY", CANARY).file("/run/key", format!("{CANARY}\n"));
    world.read(&least("", upstream)).unwrap()
}

fn outgoing(upstream: &str) -> Outgoing {
    read(upstream).upstreams[0].outgoing.clone()
}

fn shown<N: ToString>(all: &[(N, SecretString)]) -> Vec<(String, String)> {
    let exposed =
        |(name, value): &(N, SecretString)| (name.to_string(), value.expose_secret().to_owned());
    all.iter().map(exposed).collect()
}

#[test]
fn headers_and_query_are_read_and_never_shown() {
    let text = "    headers: { X-Team: search, x-key: file:/run/key, x-date: 2023-06-01 }\n    \
                query:\n      api-version: v1\n      code: ${KEY}\n";
    let read_ = outgoing(text);
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let headers = [pair("x-team", "search"), pair("x-key", CANARY), pair("x-date", "2023-06-01")];
    assert_eq!(shown(&read_.headers), headers);
    assert_eq!(shown(&read_.query), [pair("api-version", "v1"), pair("code", CANARY)]);
    let config = read(text);
    let printed = format!("{config:?} {}", describe(&config));
    assert!(!printed.contains("canary") && !printed.contains("search"), "{printed}");
}

#[test]
fn a_query_in_the_url_is_taken_and_not_shown() {
    let config = World::default().var("KEY", CANARY).read(
        "upstreams: { a: { url: \"https://a.test/x?api-version=v1&key=${KEY}\" } }\n\
         routes: [{ path: /, upstream: a }]\n",
    );
    let config = config.unwrap();
    let upstream = &config.upstreams[0];
    let query = upstream.outgoing.url_query.as_ref().unwrap().expose_secret();
    assert_eq!((&*upstream.base_path, query), ("/x", "api-version=v1&key=sk-canary-1f2e3d"));
    let described = describe(&config);
    assert!(described.contains("https://a.test/x?… ("), "{described}");
    assert!(!format!("{config:?}").contains("canary"));
    let bare = World::default()
        .read("upstreams: { a: { url: 'https://a.test?' } }\nroutes: [{ path: /, upstream: a }]\n");
    assert!(bare.unwrap().upstreams[0].outgoing.url_query.is_none());
}

#[test]
fn the_key_s_header_is_said_by_the_description() {
    let config = read("    key: k\n    auth_header: API-Key\n");
    assert_eq!(config.upstreams[0].outgoing.auth_header, "api-key");
    let described = describe(&config);
    assert!(described.contains("key set in api-key"), "{described}");
}

#[test]
fn what_passes_is_one_or_many() {
    let one = outgoing("    forward_headers: Cookie\n    forward_query: token\n");
    assert_eq!(
        (&one.forward_headers[..], &one.forward_query[..]),
        (&["cookie".parse().unwrap()][..], &["token".to_owned()][..])
    );
    assert_eq!(outgoing("    forward_headers: [cookie, x-api-key]\n").forward_headers.len(), 2);
    assert_eq!(read("").upstreams[0].redirects, Redirects::Rewrite);
    assert_eq!(read("    redirects: pass\n").upstreams[0].redirects, Redirects::Pass);
}

#[test]
fn what_contradicts_or_has_no_effect_is_refused_with_a_way_out() {
    for (lines, said) in [
        ("auth_header: api-key", "auth_header: has no effect without `key`"),
        ("key: k\n    auth_header: a b", "is not the name of a header"),
        ("key: k\n    auth_header: host", "is a header that the proxy writes or removes itself"),
        ("key: k\n    headers: { Authorization: x }", "sets `authorization`, which carries `key`"),
        ("forward_authorization: true\n    headers: { authorization: x }", "remove one of the two"),
        ("headers: { x-a: 1, X-A: 2 }", "sets `x-a` twice"),
        ("headers: { x-forwarded-for: 1 }", "is a header that the proxy writes or removes itself"),
        ("headers: { 'a b': 1 }", "is not the name of a header"),
        ("headers: { x-a: '' }", "headers.x-a: the value is empty"),
        ("headers: { x-a: \"a\\nb\" }", "the value contains a control character"),
        ("headers: x-a", "has no names; write each as `NAME: VALUE`"),
        ("headers:", "has no names; write each as `NAME: VALUE`"),
        ("headers: { x-a: \"${NOT_SET}\" }", "needs the variable NOT_SET"),
        ("key: k\n    forward_headers: authorization", "which the proxy sets for this upstream"),
        ("headers: { cookie: a }\n    forward_headers: cookie", "which the proxy sets"),
        ("forward_authorization: true\n    forward_headers: cookie", "which forwards them all"),
        ("forward_authorization: true\n    forward_query: key", "which forwards them all"),
        ("forward_query: a=b", "is not the name of a query parameter"),
        ("forward_headers: []", "is an empty list"),
    ] {
        let faults = World::default().faults(&least("", &format!("    {lines}\n")));
        assert!(faults.len() == 1 && faults[0].contains(said), "{lines}: {faults:?}");
    }
    let twice = "upstreams: { a: { url: 'http://a?v=1', query: { v: 2 } } }\nroutes: [{ path: /, upstream: a }]";
    let faults = World::default().faults(twice);
    assert!(
        faults.len() == 1 && faults[0].contains("sets `v`, which stands in `url` too"),
        "{faults:?}"
    );
}
