//! `routes[].resume`, and the routes that follow from it.

use std::time::Duration;

use super::{World, least};
use crate::config::{Config, Resume, RouteId, Target, changes, describe};

/// A route at `path` with this section.
fn text(path: &str, resume: &str) -> String {
    format!(
        "upstreams: {{ a: {{ url: http://a }} }}\nroutes: [{{ path: {path}, upstream: a, resume: {resume} }}]\n"
    )
}

fn read(path: &str, resume: &str) -> Config {
    World::default().read(&text(path, resume)).unwrap()
}

#[test]
fn a_route_keeps_nothing_unless_it_says_so_and_then_by_defaults() {
    let config = World::default().read(&least("", "")).unwrap();
    assert_eq!((config.routes.len(), config.routes[0].resume), (1, None));
    let defaults = Resume {
        bytes: 4 << 20,
        ttl: Duration::from_secs(300),
        detached: Duration::from_secs(120),
        streams: 1000,
        anonymous: true,
    };
    assert_eq!(read("/v1", "{ anonymous: true }").routes[0].resume, Some(defaults));
    let all = "{ bytes: 1MiB, ttl: 1h, detached: 5s, streams: 7, anonymous: true }";
    let meant = Resume {
        bytes: 1 << 20,
        ttl: Duration::from_secs(3600),
        detached: Duration::from_secs(5),
        streams: 7,
        anonymous: true,
    };
    let config = read("/v1", all);
    assert_eq!(config.routes[0].resume, Some(meant));
    assert_eq!(changes(&read("/v1", "{ anonymous: true }"), &config), ["routes"]);
}

#[test]
fn streams_are_read_at_a_route_of_their_own_and_below_each_that_keeps_some() {
    for (path, below) in [("/v1", "/v1/stream"), ("/", "/stream"), ("/a/b", "/a/b/stream")] {
        let config = read(path, "{ anonymous: true }");
        let routes: Vec<_> =
            config.routes.iter().map(|route| (&*route.path, route.target)).collect();
        assert_eq!(routes[1..], [(below, Target::Streams), ("/streams", Target::Streams)]);
        assert!(describe(&config).contains("\n/streams → "), "{}", describe(&config));
    }
    for path in ["/streams", "/v1/stream"] {
        let more = format!("\nroutes: [{{ path: {path}, upstream: a }}, ");
        let text = text("/v1", "{ anonymous: true }").replace("\nroutes: [", &more);
        let faults = World::default().faults(&text);
        assert_eq!(faults.len(), 1, "{faults:?}");
        assert!(faults[0].contains("routes[0].path"), "{faults:?}");
    }
}

#[test]
fn a_client_reads_its_streams_whatever_routes_it_may_use() {
    let clients = "clients: [{ name: a, key: fb-a-key-of-thirty-two-characters, routes: [/v1] }, { name: b, key: fb-b-key-of-thirty-two-characters }]";
    let config = World::default().read(&(text("/v1", "{}") + clients)).unwrap();
    let clients = config.clients.unwrap();
    assert_eq!(clients[0].routes, Some(vec![RouteId(0), RouteId(1), RouteId(2)]));
    assert_eq!(clients[1].routes, None);
}

#[test]
fn what_would_keep_nothing_is_told() {
    let faults = World::default().faults(&text("/v1", "{}"));
    assert_eq!(faults.len(), 1, "{faults:?}");
    assert!(faults[0].contains("anonymous: true"), "{faults:?}");
    for wrong in ["{ bytes: 1KiB, anonymous: true }", "{ ttl: 0s, anonymous: true }"] {
        assert_eq!(World::default().faults(&text("/v1", wrong)).len(), 1, "{wrong}");
    }
}
