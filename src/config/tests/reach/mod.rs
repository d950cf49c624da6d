//! How an upstream is reached and trusted, as it is written.

mod outgoing;

use std::path::PathBuf;

use super::{World, least};
use crate::config::shares_connections;
use crate::config::{ClientFiles, Pin, Scheme, Upstream, changes, describe, from_env};

const PIN: &str = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";

fn world() -> World {
    World::default().file("/etc/c.pem", "pem").file("/etc/c.key", "pem")
}

#[test]
fn the_keys_mean_what_they_say() {
    let text = format!(
        "    server_name: api.internal\n    host: api.test:8443\n    pin_sha256: [{PIN}, \
         'sha256//{PIN}']\n    client_certificate: c.pem\n    client_key: c.key\n"
    );
    let upstream = world().read(&least("", &text)).unwrap().upstreams.remove(0);
    assert_eq!(upstream.tls.server_name.as_deref(), Some("api.internal"));
    assert_eq!(upstream.host_header.as_deref(), Some("api.test:8443"));
    let [pin, same] = &upstream.tls.pins[..] else { panic!("{:?}", upstream.tls.pins) };
    assert!(pin == same && *pin != Pin([0; 32]) && format!("{pin:?}") == PIN);
    let files = ClientFiles { certificate: "/etc/c.pem".into(), key: PathBuf::from("/etc/c.key") };
    assert_eq!(upstream.tls.client, Some(files));
}

#[test]
fn what_makes_no_sense_is_refused_with_a_way_out() {
    let fingerprint = "AB:".repeat(31) + "AB";
    for (line, expected) in [
        ("client_certificate: c.pem", "client_certificate: needs `client_key`, and there is none"),
        ("client_key: c.key", "client_key: needs `client_certificate`, and there is none"),
        ("client_key: none.key\n    client_certificate: c.pem", "can't be read"),
        ("server_name: https://a.test", "is a URL, not a name"),
        ("server_name: a.test:443", "has a port"),
        ("host: https://a.test/v1", "is a URL, not a host"),
        ("host: a.test:x", "has a port that is not a number"),
        ("pin_sha256: abc", "is not the Base64 of a SHA-256"),
        (&format!("pin_sha256: '{fingerprint}'"), "is in hex, as fingerprints of certificates are"),
    ] {
        let faults = world().faults(&least("", &format!("    {line}\n")));
        assert!(faults.len() == 1 && faults[0].contains(expected), "{line}: {faults:?}");
    }
    let clear = format!(
        "upstreams: {{ a: {{ url: http://a, server_name: b, pin_sha256: {PIN}, \
         client_certificate: c.pem, client_key: c.key }} }}\nroutes: [{{ path: /, upstream: a }}]\n"
    );
    let faults = world().faults(&clear);
    assert!(faults.len() == 4 && faults.iter().all(|f| f.contains("http:// URL")), "{faults:?}");
}

#[test]
fn a_change_of_trust_is_named_and_needs_other_connections() {
    let of = |line: &str| world().read(&least("", &format!("    {line}\n"))).unwrap();
    let plain = of("protocol: auto");
    for (line, key, shares) in [
        ("server_name: b.test", "server_name", false),
        (&*format!("pin_sha256: {PIN}"), "pin_sha256", false),
        ("host: b.test", "host", true),
        ("client_certificate: c.pem\n    client_key: c.key", "client_certificate", true),
    ] {
        let changed = of(line);
        assert_eq!(changes(&plain, &changed), [format!("upstreams.api.{key}")]);
        let shared = shares_connections(&plain.upstreams[0], &changed.upstreams[0]);
        assert_eq!(shared, shares, "{line}");
    }
}

fn at(url: &str) -> Result<Upstream, Vec<String>> {
    let text =
        format!("upstreams: {{ a: {{ url: \"{url}\" }} }}\nroutes: [{{ path: /, upstream: a }}]\n");
    match World::default().read(&text) {
        Ok(config) => Ok(config.upstreams.into_iter().next().unwrap()),
        Err(_) => Err(World::default().faults(&text)),
    }
}

#[test]
fn a_unix_socket_is_written_as_nginx_does_or_without_http() {
    for (url, socket, path) in [
        ("http://unix:/run/api.sock", "/run/api.sock", ""),
        ("http://unix:/run/api.sock:/v1/", "/run/api.sock", "/v1"),
        ("HTTP://unix:/run/api.sock:/", "/run/api.sock", ""),
        ("unix:/run/api.sock:/v1", "/run/api.sock", "/v1"),
    ] {
        let upstream = at(url).unwrap();
        assert_eq!(upstream.socket.as_deref(), Some(std::path::Path::new(socket)), "{url}");
        assert_eq!((upstream.scheme, &*upstream.base_path), (Scheme::Http, path), "{url}");
        assert_eq!((&*upstream.host, upstream.port), ("localhost", 80));
    }
    for (url, expected) in [
        ("https://unix:/run/api.sock", "TLS to a Unix socket"),
        ("unix:run/api.sock", "no absolute path"),
        ("unix:/run/", "no absolute path"),
        ("unix:/run/api.sock:v1", "does not begin with"),
        ("unix:/run/api.sock?x", "a query"),
        (&*format!("unix:/{}", "a".repeat(107)), "107 bytes"),
    ] {
        let faults = at(url).unwrap_err();
        assert!(faults.len() == 1 && faults[0].contains(expected), "{url}: {faults:?}");
    }
    let text =
        "upstreams: { a: { url: 'unix:/run/a.sock:/v1' } }\nroutes: [{ path: /v1, upstream: a }]";
    let config = World::default().read(text).unwrap();
    assert!(describe(&config).contains("http://unix:/run/a.sock:/v1"), "{}", describe(&config));
}

#[test]
fn the_proxy_of_the_environment_is_for_https_and_off_is_off() {
    let world = || World::default().var("HTTPS_PROXY", "http://u:canary@p.test:3128");
    let proxy = |world: World, url: &str, line: &str| {
        let text = format!(
            "upstreams:\n  a:\n    url: \"{url}\"\n{line}routes: [{{ path: /, upstream: a }}]\n"
        );
        let upstream = world.read(&text).unwrap().upstreams.remove(0);
        let (host, port) = upstream.dials();
        (upstream.proxy.is_some(), format!("{host}:{port}"))
    };
    let through = (true, "p.test:3128".to_owned());
    assert_eq!(proxy(world(), "https://api.test", ""), through);
    for (url, line) in [
        ("https://api.test", "    proxy: off\n"),
        ("http://api.test", ""),
        ("https://localhost", ""),
        ("https://127.0.0.9", ""),
        ("unix:/run/a.sock", ""),
    ] {
        assert!(!proxy(world(), url, line).0, "{url} {line}");
    }
    assert!(!proxy(world().var("NO_PROXY", "api.test"), "https://api.test", "").0);
    assert!(!proxy(world().var("no_proxy", "*"), "https://api.test", "").0);
    assert_eq!(proxy(world().var("https_proxy", "q.test:1"), "https://api.test", "").1, "q.test:1");
    let own = "    proxy: http://q.test:8080\n";
    assert_eq!(proxy(world(), "http://api.test", own).1, "q.test:8080", "in clear too");
    let without_file = from_env(&world().var("OPENAI_API_KEY", "k")).unwrap();
    let shown = format!("{without_file:?}");
    assert!(shown.contains("p.test:3128") && !shown.contains("canary"), "{shown}");
}

#[test]
fn a_proxy_that_cannot_be_used_is_a_fault_that_quotes_nothing() {
    for value in ["https://u:canary@p:1", "socks5://u:canary@p:1", "http://u:canary@p"] {
        let faults = World::default().faults(&least("", &format!("    proxy: {value}\n")));
        assert!(faults.len() == 1 && !faults[0].contains("canary"), "{faults:?}");
        let faults = World::default().var("HTTPS_PROXY", value).faults(&least("", ""));
        assert!(faults.len() == 1 && faults[0].contains("HTTPS_PROXY"), "{faults:?}");
        assert!(!faults[0].contains("canary"), "{faults:?}");
        let env = World::default().var("OPENAI_API_KEY", "k").var("HTTPS_PROXY", value);
        let faults = from_env(&env).unwrap_err().to_string();
        assert!(faults.contains("HTTPS_PROXY") && !faults.contains("canary"), "{faults}");
    }
    let text = "upstreams: { a: { url: 'unix:/a', proxy: 'http://p:1' } }\n\
                routes: [{ path: /, upstream: a }]\n";
    let faults = World::default().faults(text);
    assert!(faults[0].contains("has no effect with a Unix socket"), "{faults:?}");
}

#[test]
fn a_change_of_the_way_is_named_and_needs_other_connections() {
    let of = |line: &str| World::default().read(&least("", &format!("    {line}\n"))).unwrap();
    let plain = of("proxy: off");
    for line in ["proxy: http://p:1", "proxy: http://u:x@p:1"] {
        assert_eq!(changes(&plain, &of(line)), ["upstreams.api.proxy"]);
        assert!(!shares_connections(&plain.upstreams[0], &of(line).upstreams[0]), "{line}");
    }
    let (one, two) = (of("proxy: http://u:x@p:1"), of("proxy: http://u:y@p:1"));
    assert!(!shares_connections(&one.upstreams[0], &two.upstreams[0]), "another password");
}
