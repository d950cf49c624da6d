//! `clients`: who may ask. Every fault with its place and a way out.

use super::{World, least};
use crate::config::{Config, KeyDigest, RouteId};

const KEY: &str = "fb-canary-0123456789abcdef";
/// SHA-256 of `abcd`.
const HASH: &str = "88d4266fd4e6338d13b845fcf289579d209c897823b9217da3e161936f031589";

/// Clients are from line 7 on.
pub(super) fn with(clients: &str) -> String {
    least(&format!("clients:\n{clients}"), "")
}

fn read(clients: &str) -> Config {
    World::default().read(&with(clients)).unwrap()
}

#[track_caller]
pub(super) fn assert_fault(text: &str, expected: &str) {
    let world = World::default().var("SHORT", "fb-short-canary");
    let faults = world.faults(text);
    assert!(faults.len() == 1 && faults[0].starts_with(expected), "{text}: {faults:?}");
    assert!(!faults[0].contains("canary"), "{faults:?}");
}

#[test]
fn without_the_section_everybody_may_and_with_an_empty_one_it_is_told() {
    assert!(World::default().read(&least("", "")).unwrap().clients.is_none());
    let faults = World::default().faults(&least("clients: []\n", ""));
    assert!(faults[0].starts_with("/etc/f.yaml:7:10: clients: "), "{faults:?}");
}

#[test]
fn a_key_is_known_by_its_digest_whether_it_is_written_or_only_that_is() {
    let config = read(&format!(
        "  - {{ name: a, key: [{KEY}, {KEY}-2] }}\n  - {{ name: b, key_sha256: {HASH} }}\n"
    ));
    let clients = config.clients.unwrap();
    assert_eq!(clients[0].keys[0], KeyDigest::of(KEY.as_bytes()));
    assert_eq!(clients[0].keys.len(), 2);
    assert_eq!(clients[1].keys, [KeyDigest::of(b"abcd")]);
    assert_eq!(clients[1].keys[0].to_string(), HASH);
    let upper = read(&format!("  - {{ name: b, key_sha256: {} }}\n", HASH.to_uppercase()));
    assert_eq!(upper.clients.unwrap()[0].keys, [KeyDigest::of(b"abcd")]);
}

#[test]
fn a_short_key_can_be_used_and_is_warned_of() {
    let world = World::default().var("SHORT", "fb-short-canary");
    let config = world.read(&with("  - { name: a, key: \"${SHORT}\" }\n")).unwrap();
    let warnings: Vec<_> = config.warnings.iter().map(ToString::to_string).collect();
    let expected = "/etc/f.yaml:8:21: clients[0].key: the value has fewer than 20 characters, and can be guessed; \
        `firstbyte key new NAME` makes a key";
    assert_eq!(warnings, [expected]);
}

#[test]
fn names_are_fit_for_metrics_and_no_two_are_the_same() {
    let one = |name: &str| format!("  - {{ name: {name}, key_sha256: {HASH} }}\n");
    let fit = "use at most 64 letters, digits, `_`, `.` and `-`";
    for (name, at) in [("'a b'", 13), ("''", 13), (&*format!("\"{}\"", "a".repeat(65)), 13)] {
        let expected = format!("/etc/f.yaml:8:{at}: clients[0].name: is not a valid name; {fit}");
        assert_fault(&with(&one(name)), &expected);
    }
    assert_eq!(read(&one("app-A_1.x")).clients.unwrap()[0].name, "app-A_1.x");
    let twice = format!("{}  - {{ name: a, key: {KEY} }}\n", one("a"));
    let expected = "/etc/f.yaml:9:13: clients[1].name: the value is the same name as that of clients[0]; remove one \
        of them";
    assert_fault(&with(&twice), expected);
}

#[test]
fn whoever_has_nothing_to_prove_himself_by_or_the_same_as_another_is_refused() {
    let expected = "/etc/f.yaml:8:5: clients[0]: has none of `key`, `key_sha256` and `certificate`; write one: \
        `firstbyte key new NAME` makes a key";
    assert_fault(&with("  - { name: a }\n"), expected);
    let expected = "/etc/f.yaml:9:21: clients[1].key: the value is the same key as that of clients[0]; remove one of \
        them";
    assert_fault(
        &with(&format!("  - {{ name: a, key: {KEY} }}\n  - {{ name: b, key: {KEY} }}\n")),
        expected,
    );
    // By its digest too.
    let digest = KeyDigest::of(KEY.as_bytes());
    let text = format!("  - {{ name: a, key: {KEY} }}\n  - {{ name: b, key_sha256: {digest} }}\n");
    assert_fault(
        &with(&text),
        "/etc/f.yaml:9:28: clients[1].key_sha256: the value is the same key",
    );
    let text =
        "  - { name: a, certificate: DNS:A.test }\n  - { name: b, certificate: DNS:a.test }\n";
    assert_fault(
        &with(text),
        "/etc/f.yaml:9:29: clients[1].certificate: the value is the same name",
    );
}

#[test]
fn what_is_no_digest_no_name_of_a_certificate_or_no_key_is_refused_unseen() {
    for (line, expected) in [
        (
            format!("key_sha256: {KEY}"),
            "/etc/f.yaml:8:28: clients[0].key_sha256: the value is not a SHA-256 in hexadecimal; write the 64 digits \
             that `firstbyte key new NAME` or `printf %s KEY | sha256sum` print",
        ),
        (
            format!("key_sha256: {}", &HASH[1..]),
            "/etc/f.yaml:8:28: clients[0].key_sha256: the value is not",
        ),
        (
            format!("key_sha256: {}g", &HASH[1..]),
            "/etc/f.yaml:8:28: clients[0].key_sha256: the value is not",
        ),
        (
            "key: 'Bearer canary'".into(),
            "/etc/f.yaml:8:21: clients[0].key: the value begins with `Bearer`",
        ),
        ("key: ''".into(), "/etc/f.yaml:8:21: clients[0].key: the value is empty"),
        ("key: ${GONE}".into(), "/etc/f.yaml:8:21: clients[0].key: "),
        (
            "certificate: app.test".into(),
            "/etc/f.yaml:8:29: clients[0].certificate: the value is not a subject alternative name; write it like \
             DNS:app.internal or URI:spiffe://cluster.local/ns/a/sa/b",
        ),
        ("certificate: 'DNS:*.test'".into(), "/etc/f.yaml:8:29: clients[0].certificate: "),
        ("certificate: 'CN:a'".into(), "/etc/f.yaml:8:29: clients[0].certificate: "),
    ] {
        let line = line.replace("${GONE}", "\"${GONE}\"");
        assert_fault(&with(&format!("  - {{ name: a, {line} }}\n")), expected);
    }
}

#[test]
fn routes_and_groups_that_are_not_there_are_told_with_what_is() {
    let one = |rest: &str| with(&format!("  - {{ name: a, key: {KEY}, {rest} }}\n"));
    let config = World::default().read(&one("routes: [/v1]")).unwrap();
    assert_eq!(config.clients.unwrap()[0].routes, Some(vec![RouteId(0)]));
    assert_fault(
        &one("routes: [/v1, /v2]"),
        "/etc/f.yaml:8:63: clients[0].routes: is not a configured name; ",
    );
    assert_fault(&one("routes: []"), "/etc/f.yaml:8:57: clients[0].routes: is an empty list");
    let group = "/etc/f.yaml:8:56: clients[0].group: is not a configured name; ";
    assert_fault(&one("group: team"), &format!("{group}none is configured"));
    let text = format!("{}client_groups: {{ team-a: {{}} }}\n", one("group: team"));
    assert_fault(&text, group);
}

#[test]
fn an_expiry_is_the_end_of_a_day_or_a_moment_in_utc() {
    let one = |text: &str| format!("  - {{ name: a, key: {KEY}, expires: {text} }}\n");
    for (text, seconds) in [
        ("1970-01-01", 86_400),
        ("1970-01-02T00:00:01Z", 86_401),
        ("2024-02-29", 1_709_251_200),
        ("2026-12-31T23:59:59Z", 1_798_761_599),
    ] {
        assert_eq!(read(&one(text)).clients.unwrap()[0].expires, Some(seconds), "{text}");
    }
    for text in [
        "2026-13-01",
        "2026-02-29",
        "2026-2-1",
        "31.12.2026",
        "2026-12-31T18:00:00",
        "2026-12-31T24:00:00Z",
        "2026-12-31T18:00Z",
        "'2026-12-31 18:00:00Z'",
        "2026-12-31T18:00:00+01:00",
        "tomorrow",
        "1798761599",
    ] {
        let faults = World::default().faults(&with(&one(text)));
        let (place, hint) =
            ("/etc/f.yaml:8:58: clients[0].expires: ", "2026-12-31T18:00:00Z (UTC)");
        let fits = |fault: &String| fault.starts_with(place) && fault.ends_with(hint);
        assert!(faults.len() == 1 && faults.iter().all(fits), "{text}: {faults:?}");
    }
}

#[test]
fn no_upstream_may_be_sent_the_keys_of_clients() {
    let text = |upstream: &str, clients: &str| least(&format!("clients:\n{clients}"), upstream);
    let key = format!("  - {{ name: a, key: {KEY} }}\n");
    let what = "would send the keys of `clients` to this upstream; remove it and set the upstream's own `key`, or name \
        all clients by `certificate`";
    for (line, key_of) in [
        ("    forward_authorization: true\n", "forward_authorization"),
        ("    key: k\n    forward_headers: [x-api-key]\n", "forward_headers"),
        ("    key: k\n    forward_headers: [cookie, api-key]\n", "forward_headers"),
    ] {
        assert_fault(
            &text(line, &key),
            &format!("/etc/f.yaml:3:10: upstreams.api.{key_of}: {what}"),
        );
        let by_certificate = text(line, "  - { name: a, certificate: DNS:a.test }\n");
        assert!(World::default().read(&by_certificate).is_ok(), "{line}");
        assert!(World::default().read(&least("", line)).is_ok(), "{line}");
    }
}
