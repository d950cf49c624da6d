//! What an upstream is trusted by over TLS, as it is written.

use std::path::PathBuf;

use super::{World, least};
use crate::config::{ClientFiles, Pin, changes, shares_connections};

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
