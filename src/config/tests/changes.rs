//! What a reload says of the difference between two files.

use super::World;
use crate::config::{Config, changes, shares_connections};

const BASE: &str = "\
upstreams:
  a: { url: http://a/v1, key: sk-canary-one }
  b: { url: http://b }
groups:
  both: { members: [{ upstream: a }, { upstream: b }] }
routes:
  - { path: /v1, upstream: both }
";

fn config(text: &str) -> Config {
    World::default().read(text).unwrap()
}

fn said(from: &str, to: &str) -> Vec<String> {
    assert!(BASE.contains(from), "{from}");
    changes(&config(BASE), &config(&BASE.replace(from, to)))
}

#[test]
fn what_changed_is_named_by_its_key_and_nothing_else_is() {
    for (from, to, named) in [
        ("sk-canary-one", "sk-canary-one", &[][..]),
        ("sk-canary-one", "sk-canary-two", &["upstreams.a.key"]),
        ("http://a/v1", "http://a/v2", &["upstreams.a.url"]),
        ("http://b }", "http://b, protocol: http2 }", &["upstreams.b.protocol"]),
        ("http://b }", "http://b, pool: { queue: 7 } }", &["upstreams.b.pool"]),
        ("http://b }", "http://b, deadlines: { connect: 1s } }", &["upstreams.b.deadlines"]),
        ("http://b }", "http://b, health: { requests: 7 } }", &["upstreams.b.health"]),
        ("{ upstream: b }]", "{ upstream: b, weight: 2 }]", &["groups"]),
        ("path: /v1", "path: /v2", &["routes"]),
        ("upstream: both }", "upstream: a }", &["routes"]),
        ("groups:", "via: false\nclient: { idle: 1s }\ngroups:", &["via", "client"]),
        ("groups:", "admin_token: sk-canary-two\ngroups:", &["admin_token"]),
        ("groups:", "allowed_hosts: a.test\ngroups:", &["allowed_hosts"]),
        ("groups:", "allowed_origins: [http://a.test]\ngroups:", &["allowed_origins"]),
        (
            "sk-canary-one",
            "k, auth_header: x-api-key",
            &["upstreams.a.key", "upstreams.a.auth_header"],
        ),
        ("http://b }", "http://b?a=1 }", &["upstreams.b.url"]),
        ("http://b }", "http://b, headers: { x-a: '1' } }", &["upstreams.b.headers"]),
        ("http://b }", "http://b, query: { a: '1' } }", &["upstreams.b.query"]),
        ("http://b }", "http://b, forward_headers: cookie }", &["upstreams.b.forward_headers"]),
        ("http://b }", "http://b, forward_query: [token] }", &["upstreams.b.forward_query"]),
        ("http://b }", "http://b, redirects: pass }", &["upstreams.b.redirects"]),
        ("upstream: both }", "upstream: both, cors: { origins: 'http://a' } }", &["routes"]),
        ("upstream: both }", "upstream: both, heartbeat: 15s }", &["routes"]),
        ("groups:", "limits: { streams: 7 }\ngroups:", &["limits"]),
        (
            "groups:",
            "privacy: { hash_headers: x-a, salt: sk-canary-one-two }\ngroups:",
            &["privacy"],
        ),
        (
            "groups:",
            "reload: on_change\nupgrade_timeout: 2m\ngroups:",
            &["reload", "upgrade_timeout"],
        ),
        ("groups:", "  c: { url: http://c }\ngroups:", &["upstreams.c (new)"]),
    ] {
        assert_eq!(said(from, to), named, "{to}");
    }
}

/// Their numbers differ; what they mean does not.
#[test]
fn upstreams_in_another_order_are_no_change() {
    let (a, b) = ("  a: { url: http://a/v1, key: sk-canary-one }\n", "  b: { url: http://b }\n");
    assert_eq!(said(&format!("{a}{b}"), &format!("{b}{a}")), [""; 0]);
}

#[test]
fn connections_are_shared_where_all_that_they_are_made_of_is_the_same() {
    let shared = |from: &str, to: &str| {
        let (before, after) = (config(BASE), config(&BASE.replace(from, to)));
        shares_connections(&before.upstreams[0], &after.upstreams[0])
    };
    for to in [
        "http://a/v2, key: sk-other",
        "http://a",
        "http://a, deadlines: { frame_gap: 1s }",
        "http://a, health: { requests: 7 }",
    ] {
        assert!(shared("http://a/v1, key: sk-canary-one", to), "{to}");
    }
    for to in [
        "http://a:81",
        "http://c",
        "https://a",
        "http://a, protocol: http2",
        "http://a, pool: { max_age: 1m }",
        "http://a, deadlines: { connect: 1s }",
    ] {
        assert!(!shared("http://a/v1, key: sk-canary-one", to), "{to}");
    }
}
