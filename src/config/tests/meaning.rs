use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::{World, least};
use crate::config::{
    AccessLog, Config, Listener, Protocol, Scheme, Target, UpstreamId, describe, from_env,
};

fn read(text: &str) -> Config {
    World::default().read(text).unwrap()
}

#[test]
fn what_is_not_written_is_as_without_a_file() {
    let world = World::default().var("OPENAI_API_KEY", "k");
    let mut from_file = world.read(
        "upstreams: { openai: { url: https://api.openai.com/v1, key: \"${OPENAI_API_KEY}\" } }\n\
         routes: [{ path: /v1, upstream: openai }]\n",
    );
    let without = from_env(&world).unwrap();
    assert_eq!(format!("{:#?}", from_file.as_mut().unwrap()), format!("{without:#?}"));
}

#[test]
fn an_empty_section_is_all_defaults() {
    let (with, without) =
        (read(&least("client:\nlimits: {}\n", "    pool:\n")), read(&least("", "")));
    assert_eq!(format!("{with:?}"), format!("{without:?}"));
}

#[test]
fn listeners_are_one_or_many() {
    let one = read(&least("listen: '[::1]:80'\nadmin: off\n", ""));
    let at = |text: &str| Listener::from(text.parse::<SocketAddr>().unwrap());
    assert_eq!(one.listen, [at("[::1]:80")]);
    assert_eq!(one.admin, None);
    let two = read(&least("listen:\n  - 127.0.0.1:80\n  - 10.0.0.1:80\n", ""));
    assert_eq!(two.listen, [at("127.0.0.1:80"), at("10.0.0.1:80")]);
}

#[test]
fn the_access_log_goes_where_it_is_told() {
    for (text, expected) in [
        ("off", AccessLog::Off),
        ("stderr", AccessLog::Stderr),
        ("file:/var/log/a.jsonl", AccessLog::File("/var/log/a.jsonl".into())),
        ("file:a.jsonl", AccessLog::File("/etc/a.jsonl".into())),
    ] {
        assert_eq!(read(&least(&format!("access_log: {text}\n"), "")).access_log, expected);
    }
    let faults = World::default().faults(&least("access_log: /var/log/a\n", ""));
    assert!(faults[0].ends_with("write `file:` before the path"), "{faults:?}");
}

#[test]
fn an_upstream_is_taken_apart() {
    for (url, expected) in [
        ("https://api.test", (Scheme::Https, "api.test", 443, "")),
        ("HTTPS://api.test/", (Scheme::Https, "api.test", 443, "")),
        ("http://10.0.0.1:8000/v1/", (Scheme::Http, "10.0.0.1", 8000, "/v1")),
        ("http://[2001:db8::1]:8000/a/b", (Scheme::Http, "2001:db8::1", 8000, "/a/b")),
    ] {
        let text = format!(
            "upstreams: {{ a: {{ url: \"{url}\" }} }}\nroutes: [{{ path: /, upstream: a }}]"
        );
        let upstream = &read(&text).upstreams[0];
        let found = (upstream.scheme, &*upstream.host, upstream.port, &*upstream.base_path);
        assert_eq!(found, expected, "{url}");
    }
}

#[test]
fn routes_lead_to_upstreams_by_name() {
    let config = read(
        "upstreams:\n  a: { url: http://a }\n  b: { url: http://b, protocol: http2 }\nroutes:\n  \
         - { path: /b, upstream: b }\n  - { path: /, upstream: a }\n",
    );
    let targets: Vec<_> = config.routes.iter().map(|route| route.target).collect();
    assert_eq!(targets, [1, 0].map(|id| Target::Upstream(UpstreamId(id))));
    assert_eq!(config.upstreams[1].protocol, Protocol::Http2);
}

#[test]
fn a_heartbeat_is_a_second_at_least_and_off_where_it_is_not_written() {
    let route = |written: &str| {
        format!(
            "upstreams: {{ a: {{ url: http://a }} }}\nroutes: [{{ path: /, upstream: a{written} }}]\n"
        )
    };
    assert_eq!(read(&route("")).routes[0].heartbeat, None);
    let every = read(&route(", heartbeat: 15s")).routes[0].heartbeat;
    assert_eq!(every, Some(Duration::from_secs(15)));
    let faults = World::default().faults(&route(", heartbeat: 999ms"));
    assert!(faults[0].contains("routes[0].heartbeat: is shorter than a second"), "{faults:?}");
}

#[test]
fn a_route_to_a_faulty_upstream_is_not_accused_as_well() {
    let faults = World::default()
        .faults("upstreams:\n  a: { url: nonsense }\nroutes: [{ path: /, upstream: a }]\n");
    assert_eq!(faults.len(), 1, "{faults:?}");
    let faults = World::default().faults(
        "upstreams:\n  a: { url: http://a }\nroutes: [{ path: /, upstream: \"${NONE}\" }]\n",
    );
    assert_eq!(faults.len(), 1, "{faults:?}");
}

#[test]
fn variables_are_filled_in_anywhere_in_a_value() {
    let world = World::default().var("HOST", "api.test").var("EMPTY", "").var("N", "3");
    let text = "workers: ${N}\nupstreams:\n  a:\n    url: https://${HOST}:${PORT:-8443}/${EMPTY:-v1}\n    \
                key: a$${N}$$b\nroutes: [{ path: /, upstream: a }]\n";
    let config = world.read(text).unwrap();
    let upstream = &config.upstreams[0];
    assert_eq!(config.workers.get(), 3);
    assert_eq!((&*upstream.host, upstream.port, &*upstream.base_path), ("api.test", 8443, "/v1"));
    let key = secrecy::ExposeSecret::expose_secret(upstream.key.as_ref().unwrap());
    assert_eq!(key, "a${N}$$b");
}

#[test]
fn a_variable_s_value_is_not_looked_into_again() {
    let world = World::default().var("A", "${B}").var("B", "x");
    let config = world.read(&least("", "    key: ${A}\n")).unwrap();
    let key = secrecy::ExposeSecret::expose_secret(config.upstreams[0].key.as_ref().unwrap());
    assert_eq!(key, "${B}");
}

#[test]
fn a_variable_written_wrongly_is_refused() {
    for (text, expected) in [
        ("${A", "has a `${` without a `}`"),
        ("${}", "has a `${…}` that is not valid"),
        ("${A-b}", "write `${NAME}` or `${NAME:-default}`"),
        ("${A:-${B}}", "has a `${…}` that is not valid"),
        ("${A}${B}", "needs the variables A, B, which are not set"),
    ] {
        let faults = World::default().faults(&least(&format!("via: {text}\n"), ""));
        assert!(faults.len() == 1 && faults[0].contains(expected), "{text}: {faults:?}");
    }
}

#[test]
fn anchors_and_aliases_share_a_pool_between_upstreams() {
    let config = read(
        "upstreams:\n  a: { url: http://a, pool: &p { max_connections: 7 } }\n  \
         b: { url: http://b, pool: *p }\nroutes: [{ path: /, upstream: a }]\n",
    );
    assert_eq!(config.upstreams[1].pool.max_connections, 7);
}

#[test]
fn a_ca_file_is_read_beside_the_configuration_and_must_exist() {
    let text = least("", "    ca_file: ca.pem\n");
    let config = World::default().file("/etc/ca.pem", "pem").read(&text).unwrap();
    assert_eq!(config.upstreams[0].ca_file, Some(PathBuf::from("/etc/ca.pem")));
    let faults = World::default().faults(&text);
    assert!(
        faults[0].contains("4:14: upstreams.api.ca_file: \"ca.pem\" can't be read"),
        "{faults:?}"
    );
}

#[test]
fn a_description_says_what_leads_where() {
    let world = World::default().var("KEY", "k");
    let text = "workers: 2\nupstreams:\n  api: { url: https://api.test/v1, key: \"${KEY}\" }\n  \
                idle: { url: 'http://[::1]:8000', protocol: http2 }\nroutes: [{ path: /v1, upstream: api }]\n";
    let described = describe(&world.read(text).unwrap());
    assert_eq!(
        described,
        "listen 127.0.0.1:8080, admin 127.0.0.1:9090, 2 workers, access log stdout\n\
         /v1 → api: https://api.test/v1 (h2 or http/1.1 by ALPN, key set, 2–64 connections of 64 \
         streams per worker, response head within 10m)\n\
         no route leads to idle: http://[::1]:8000 (h2 with prior knowledge, no key, 2–64 \
         connections of 64 streams per worker, response head within 10m)"
    );
}
