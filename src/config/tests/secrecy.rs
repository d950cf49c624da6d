use super::{World, least};
use crate::config::{Config, describe, from_env};
use secrecy::ExposeSecret;

const CANARY: &str = "sk-canary-1f2e3d";

fn key_of(config: &Config) -> &str {
    config.upstreams[0].key.as_ref().unwrap().expose_secret()
}

#[test]
fn a_key_comes_from_a_variable_or_a_file_without_its_line_break() {
    let world = World::default()
        .var("KEY", CANARY)
        .file("/run/key", format!("{CANARY}\r\n"))
        .file("/etc/secrets/key", CANARY);
    for source in ["${KEY}", "file:/run/key", "file:secrets/key", "${NONE:-file:/run/key}"] {
        let config = world.read(&least("", &format!("    key: {source}\n"))).unwrap();
        assert_eq!(key_of(&config), CANARY, "{source}");
    }
}

#[test]
fn a_configuration_prints_no_key() {
    let config = World::default().var("OPENAI_API_KEY", CANARY);
    let config = from_env(&config).unwrap();
    assert_eq!(key_of(&config), CANARY);
    for shown in [format!("{config:?}"), format!("{config:#?}"), describe(&config)] {
        assert!(!shown.contains(CANARY), "{shown}");
    }
}

#[test]
fn no_fault_quotes_a_secret_or_a_variable_s_value() {
    let world = World::default()
        .var("KEY", format!("{CANARY}\n{CANARY}"))
        .var("NUMBER", CANARY)
        .var("URL", format!("https://u:{CANARY}@api.test"))
        .file("/run/key", format!("{CANARY} {CANARY}"))
        .file("/run/binary", [CANARY.as_bytes(), b"\xff"].concat());
    for line in [
        "key: ${KEY}",
        "key: 'Bearer sk-canary-1f2e3d'",
        "key: \"sk-canary-1f2e3d\\u0007\"",
        "key: file:/run/key",
        "key: file:/run/binary",
        "key: 'sk-canary-1f2e3d${'",
        "key:sk-canary-1f2e3d",
        "key: [sk-canary-1f2e3d]",
        "key: *sk-canary-1f2e3d",
        "key: !sk-canary-1f2e3d",
        "organization: 'sk-canary-1f2e3d x'",
        "headers: sk-canary-1f2e3d",
        "headers: { x-team: \"sk-canary-1f2e3d\\u0007\" }",
        "headers: { x-team: [sk-canary-1f2e3d] }",
        "headers: { x-team: file:/run/binary }",
        "query: { code: 'sk-canary-1f2e3dä' }",
        "protocol: ${NUMBER}",
        "forward_authorization: ${NUMBER}",
        "ca_file: ${NUMBER}",
        "client_key: '-----BEGIN PRIVATE KEY----- sk-canary-1f2e3d'",
        "pool: { max_age: \"${NUMBER}\", queue: \"${NUMBER}\", stream_window: \"${NUMBER}\" }",
    ] {
        let refused = world.read(&least("", &format!("    {line}\n"))).unwrap_err().to_string();
        assert!(!refused.contains("canary"), "{line}: {refused}");
    }
    for url in [
        "${URL}",
        "https://u:sk-canary-1f2e3d@api.test",
        "https://a.test/?k=sk-canary-1f2e3d|",
        "https://a.test/?k=sk-canary-1f2e3d#",
        "htps://u:sk-canary-1f2e3d@a.test",
    ] {
        let text = format!(
            "upstreams: {{ a: {{ url: \"{url}\" }} }}\nroutes: [{{ path: /, upstream: a }}]"
        );
        let refused = world.read(&text).unwrap_err().to_string();
        assert!(!refused.contains("canary"), "{url}: {refused}");
    }
}

#[test]
fn a_key_that_no_header_can_carry_is_refused() {
    for (key, expected) in [
        ("''", "the value is empty"),
        ("\"a\\nb\"", "the value contains a control character"),
        ("\"a\\u0000\"", "the value contains a control character"),
        ("'a b'", "the value contains a space"),
        ("'ä'", "the value contains a space or a non-ASCII character"),
        (
            "bearer abc",
            "the value begins with `Bearer`, which the proxy adds itself; write only the key",
        ),
        ("file:/gone", "the value names the file /gone, which can't be read"),
    ] {
        let faults = World::default().faults(&least("", &format!("    key: {key}\n")));
        assert!(faults.len() == 1 && faults[0].contains(expected), "{key}: {faults:?}");
    }
}
