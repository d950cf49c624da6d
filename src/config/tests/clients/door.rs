use std::net::SocketAddr;
use std::path::PathBuf;

use super::{World, least};
use crate::config::{Config, ListenAddress, Listener, describe};

/// A certificate of this name and its key.
pub(in crate::config::tests) fn pair(name: &str) -> (String, String) {
    let key = rcgen::KeyPair::generate().unwrap();
    let parameters = rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap();
    let certificate = parameters.self_signed(&key).unwrap();
    (certificate.pem(), key.serialize_pem())
}

fn world() -> World {
    let ((a, a_key), (b, b_key)) = (pair("a.test"), pair("b.test"));
    World::default()
        .file("/etc/a.pem", a)
        .file("/etc/a.key", a_key)
        .file("/etc/b.pem", b)
        .file("/etc/b.key", b_key)
        .file(
            "/etc/encrypted.key",
            "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMII=\n-----END ENCRYPTED PRIVATE KEY-----\n",
        )
        .file("/etc/empty", "")
}

fn read(listen: &str) -> Config {
    world().read(&least(&format!("listen: {listen}\n"), "")).unwrap()
}

#[track_caller]
fn assert_fault(listen: &str, expected: &str) {
    let faults = world().faults(&least(&format!("listen: {listen}\n"), ""));
    assert!(faults.len() == 1 && faults[0].contains(expected), "{faults:?}");
}

#[test]
fn a_listener_is_an_address_or_a_section() {
    let at = |text: &str| Listener::from(text.parse::<SocketAddr>().unwrap());
    assert_eq!(read("127.0.0.1:80").listen, [at("127.0.0.1:80")]);
    let both = read("[127.0.0.1:80, { address: 127.0.0.1:81, proxy_protocol: required }]");
    let second = Listener { proxy_protocol: true, ..at("127.0.0.1:81") };
    assert_eq!(both.listen, [at("127.0.0.1:80"), second]);
    let unix = |path: &str| ListenAddress::Unix(PathBuf::from(path));
    assert_eq!(read("unix:/run/f.sock").listen[0].address, unix("/run/f.sock"));
    assert_eq!(read("unix:f.sock").listen[0].address, unix("/etc/f.sock"), "beside the file");
    assert_eq!(read("unix:///run/f.sock").listen[0].address, unix("/run/f.sock"));
    assert_eq!(read("[{ address: unix:/run/f.sock, mode: 0660 }]").listen[0].mode, 0o660);
    assert_eq!(read("unix:/run/f.sock").listen[0].mode, 0o600);
}

#[test]
fn a_certificate_has_its_key_and_several_have_theirs_in_order() {
    let listen = "[{ address: 127.0.0.1:443, tls: { certificate: [a.pem, b.pem], \
                  private_key: [a.key, b.key], client_ca: a.pem, client_auth: optional } }]";
    let config = read(listen);
    let tls = config.listen[0].tls.as_ref().unwrap();
    let files: Vec<_> = tls.pairs.iter().map(|pair| pair.certificate.to_str().unwrap()).collect();
    assert_eq!(files, ["/etc/a.pem", "/etc/b.pem"]);
    assert!(tls.pairs.iter().all(|pair| pair.begins < pair.expires && !pair.is_slow()));
    assert!(!tls.clients.as_ref().unwrap().required);
    let words =
        "listen 127.0.0.1:443 (TLS with /etc/a.pem, /etc/b.pem, client certificates optional)";
    assert!(describe(&config).starts_with(words), "{}", describe(&config));
    assert!(!format!("{config:?}").contains("BEGIN"), "no key is shown");
}

#[test]
fn what_can_not_be_used_is_named_with_a_way_out() {
    let tls = |keys: &str| format!("[{{ address: 127.0.0.1:443, tls: {{ {keys} }} }}]");
    for (keys, expected) in [
        ("certificate: a.pem", "listen[0].tls: `private_key` is missing"),
        (
            "certificate: a.pem, private_key: b.key",
            "/etc/b.key, which is not the key of the certificate; the first certificate in /etc/a.pem",
        ),
        (
            "certificate: [a.pem, b.pem], private_key: a.key",
            "has 1 files, and `certificate` has 2; write one key for each certificate",
        ),
        (
            "certificate: a.pem, private_key: encrypted.key",
            "contains no private key that can be read; write the file of the key, not encrypted",
        ),
        ("certificate: empty, private_key: a.key", "which contains no certificate"),
        ("certificate: a.key, private_key: a.key", "which contains no certificate"),
        ("certificate: none.pem, private_key: a.key", "can't be read"),
        (
            "certificate: a.pem, private_key: a.key, client_auth: required",
            "has no effect without `client_ca`",
        ),
        (
            "certificate: a.pem, private_key: a.key, client_ca: empty",
            "/etc/empty, which contains no certificate",
        ),
        ("certificate: a.pem, private_key: a.key, client_auth: no", "is not an allowed value"),
    ] {
        let keys = keys.replace("client_auth: no", "client_ca: a.pem, client_auth: no");
        assert_fault(&tls(&keys), expected);
    }
    assert_fault("[{ address: 127.0.0.1:80, mode: 0600 }]", "has no effect on an IP address");
    assert_fault("[{ address: unix:/s, mode: 0o600 }]", "is not a file mode in octal");
    assert_fault("[{ address: unix:/s, mode: '1777' }]", "is not a file mode in octal");
    assert_fault("[{ mode: 0600 }]", "listen[0]: `address` is missing");
    assert_fault("[{ address: 127.0.0.1:80, proxy_protocol: on }]", "is not an allowed value");
    assert_fault("'unix:'", "has no path");
    assert_fault("[unix:/a, unix:/a]", "unix:/a is listed twice");
    assert_fault(&format!("unix:/{}", "a".repeat(100)), "is longer than 90 bytes");
}

#[test]
fn trusted_proxies_are_networks_and_unix_sockets() {
    let config = world().read(&least("trusted_proxies: [10.0.0.0/8, '::1', unix]\n", "")).unwrap();
    let trusted = &config.trusted_proxies;
    assert!(trusted.unix && trusted.contain("10.1.2.3".parse().unwrap()));
    assert!(trusted.contain("::1".parse().unwrap()) && !trusted.contain("::2".parse().unwrap()));
    assert!(read("127.0.0.1:80").trusted_proxies.is_empty(), "nobody by default");
    let faults = world().faults(&least("trusted_proxies: 10.0.0.1/8\n", ""));
    assert!(faults[0].contains("has bits set beyond its prefix; write 10.0.0.0/8"), "{faults:?}");
}
