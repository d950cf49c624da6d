//! What people bring along from other programs' files and shells: read as meant, or said.

use secrecy::ExposeSecret;

use super::{World, least};
use crate::config::{Config, LogField, LogFormat, from_env};

fn read(text: &str) -> Config {
    World::default().read(text).unwrap_or_else(|faults| panic!("{faults}"))
}

fn warnings(config: &Config) -> Vec<String> {
    config.warnings.iter().map(ToString::to_string).collect()
}

#[test]
fn a_section_merges_another_and_its_own_keys_win() {
    let config = read(
        "upstreams:\n  a: &a {url: http://127.0.0.1:1}\n  b:\n    <<: *a\n    url: http://127.0.0.1:2\n\
         routes: [{path: /v1, upstream: a}]\n",
    );
    assert_eq!([config.upstreams[0].port, config.upstreams[1].port], [1, 2]);
}

#[test]
fn of_several_that_are_merged_the_first_wins_and_merges_may_hold_merges() {
    let config = read(
        "x-all: &all { pool: { max_connections: 5 }, protocol: http1 }\n\
         x-http2: &http2 { protocol: http2 }\nx-both: &both { <<: [*http2, *all] }\n\
         upstreams:\n  a: { url: http://a, <<: *both }\nroutes: [{ path: /, upstream: a }]\n",
    );
    assert_eq!(config.upstreams[0].pool.max_connections, 5);
    assert_eq!(config.upstreams[0].protocol, crate::config::Protocol::Http2);
}

#[test]
fn what_cannot_be_merged_is_refused_with_its_place() {
    for (merge, expected) in [
        ("<<: true", "4:5: `<<` merges something that is not a section; write `<<: *NAME`"),
        ("<<: [a]", "4:5: `<<` merges something that is not a section"),
        ("<<: {}\n    <<: {}", "write one with a list, `<<: [*a, *b]`"),
        ("<<: { prot: http1 }", "4:11: upstreams.api: \"prot\" is not a known key"),
    ] {
        let faults = World::default().faults(&least("", &format!("    {merge}\n")));
        assert!(faults.len() == 1 && faults[0].contains(expected), "{merge}: {faults:?}");
    }
}

#[test]
fn sections_of_the_operators_own_are_passed_over_at_the_top_and_nowhere_else() {
    read(&least("x-notes: [what, ever, { via: '${NOT_SET}' }]\n", ""));
    let faults = World::default().faults(&least("", "    x-notes: 1\n"));
    assert!(faults[0].contains("can stand at the top level only"), "{faults:?}");
}

#[test]
fn a_key_is_freed_of_what_came_with_it_and_that_is_said() {
    const KEY: &str = "sk-canary-1f2e3d";
    for (around, said) in [
        (format!("{KEY}\n"), "line ends or blanks"),
        (format!("{KEY}\r\n\r\n"), "line ends or blanks"),
        (format!("  {KEY}\t"), "line ends or blanks"),
        (format!("\"{KEY}\""), "quotes"),
        (format!("'{KEY}'\n"), "line ends or blanks and quotes"),
        (format!("\u{feff}{KEY}"), "a byte order mark"),
        (format!("\u{feff}\"{KEY}\n\""), "a byte order mark and quotes and line ends"),
    ] {
        let world = World::default().var("KEY", &around).file("/run/key", around.as_bytes());
        let by_variable = world.read(&least("", "    key: ${KEY}\n")).unwrap();
        let by_file = world.read(&least("", "    key: file:/run/key\n")).unwrap();
        let world = World::default().var("OPENAI_API_KEY", &around);
        let without_file = from_env(&world).unwrap();
        for config in [&by_variable, &by_file, &without_file] {
            let key = config.upstreams[0].key.as_ref().unwrap().expose_secret();
            assert_eq!(key, KEY, "{around:?}");
        }
        let told = [warnings(&by_variable), warnings(&without_file)];
        assert!(told.iter().all(|all| all.len() == 1 && all[0].contains(said)), "{told:?}");
        assert!(told[0][0].starts_with("/etc/f.yaml:4:10: upstreams.api.key: the value has "));
        assert!(told[1][0].starts_with("OPENAI_API_KEY: has "), "{told:?}");
        assert!(!format!("{told:?}").contains("canary"));
    }
}

#[test]
fn the_one_line_end_of_a_text_file_is_nothing_to_warn_of() {
    for end in ["", "\n", "\r\n"] {
        let world = World::default().file("/run/key", format!("sk-1{end}"));
        let config = world.read(&least("", "    key: file:/run/key\n")).unwrap();
        assert_eq!(config.upstreams[0].key.as_ref().unwrap().expose_secret(), "sk-1");
        assert_eq!(warnings(&config), [""; 0], "{end:?}");
    }
    let world = World::default().file("/run/key", "sk-1\n\n");
    let config = world.read(&least("", "    key: file:/run/key\n")).unwrap();
    assert_eq!(warnings(&config).len(), 1, "more than an editor puts there");
}

#[test]
fn a_url_that_ends_with_an_endpoint_is_warned_of() {
    let of = |url: &str, path: &str| {
        let text = format!(
            "upstreams: {{ a: {{ url: '{url}' }} }}\nroutes: [{{ path: {path}, upstream: a }}]"
        );
        warnings(&read(&text))
    };
    let expected = "/etc/f.yaml:1:24: upstreams.a.url: ends with the path of an endpoint: a request for \
                    /v1/chat/completions would be sent to /v1/chat/completions/chat/completions; \
                    remove /chat/completions from the end of the URL";
    assert_eq!(of("https://api.test/v1/chat/completions", "/v1"), [expected]);
    assert_eq!(of("https://api.test/v1/chat/completions/", "/v1").len(), 1);
    assert_eq!(of("https://api.test/v1/responses", "/").len(), 1);
    // Whoever leads an endpoint to an endpoint means it.
    assert_eq!(of("https://api.test/x/chat/completions", "/v1/chat/completions"), [""; 0]);
    assert_eq!(of("https://api.test/v1", "/v1"), [""; 0]);
    let group = "upstreams: { a: { url: 'https://a/v1/embeddings' } }\n\
                 groups: { g: { members: [{ upstream: a }] } }\nroutes: [{ path: /v1, upstream: g }]";
    assert_eq!(warnings(&read(group)).len(), 1);
    let world = World::default().var("OPENAI_API_KEY", "k");
    let world = world.var("OPENAI_BASE_URL", "https://api.test/v1/chat/completions");
    let told = warnings(&from_env(&world).unwrap());
    assert!(told.len() == 1 && told[0].starts_with("OPENAI_BASE_URL: ends with"), "{told:?}");
}

#[test]
fn what_is_anchored_is_warned_of_once() {
    let world = World::default().var("KEY", "'k'");
    let text = "x-key: &key { key: \"${KEY}\" }\nupstreams:\n  a: { url: http://a, <<: *key }\n  \
                b: { url: http://b, <<: *key }\nroutes: [{ path: /, upstream: a }]\n";
    let told = warnings(&world.read(text).unwrap());
    assert!(told.iter().all(|line| line.starts_with("/etc/f.yaml:1:20: ")), "{told:?}");
    assert_eq!(told.len(), 2, "one for each upstream: {told:?}");
}

#[test]
fn the_access_log_s_format_is_one_of_two_or_a_list_of_fields() {
    let of =
        |text: &str| read(&least(&format!("access_log_format: {text}\n"), "")).access_log_format;
    assert_eq!(read(&least("", "")).access_log_format, LogFormat::Json(LogField::ALL.to_vec()));
    assert_eq!(of("json"), LogFormat::default());
    assert_eq!(of("clf"), LogFormat::Clf);
    let fields = vec![LogField::Status, LogField::Ts, LogField::Duration];
    assert_eq!(of("[status, ts, duration_us]"), LogFormat::Json(fields));
    assert_eq!(of("id"), LogFormat::Json(vec![LogField::Id]));
    for (text, expected) in [
        ("combined", "write json, clf, or a list of fields: ts, id, client"),
        (
            "[ts, stats]",
            "\"stats\" is not a format or field of the access log; did you mean status?",
        ),
        ("[ts, ts]", "names `ts` twice; remove one of them"),
        ("[clf, ts]", "has a format in a list of fields"),
    ] {
        let faults = World::default().faults(&least(&format!("access_log_format: {text}\n"), ""));
        assert!(faults.len() == 1 && faults[0].contains(expected), "{text}: {faults:?}");
    }
}
