use super::{World, least};
use crate::config::load;

#[track_caller]
fn assert_only_fault(text: &str, expected: &str) {
    assert_eq!(World::default().faults(text), [expected], "in:\n{text}");
}

#[test]
fn all_faults_come_at_once_in_the_order_of_the_file() {
    let text = "\
listen: 8080
workers: many
upstreams:
  openai:
    url: ftp://api.test
    key: ${NOT_SET}
    pool: { min_conections: 3, max_age: 5 min }
routes:
  - path: v1
    upstream: opena
limts: {}
";
    let faults = World::default().faults(text);
    let expected = [
        "/etc/f.yaml:1:9: listen: \"8080\" is not an IP address with a port; \
         write it like 127.0.0.1:8080",
        "/etc/f.yaml:2:10: workers: \"many\" is not a number of workers; \
         write a number from 1 to 1024, or auto",
        "/etc/f.yaml:5:10: upstreams.openai.url: \"ftp://api.test\" has an unknown scheme; write \
         `https://`",
        "/etc/f.yaml:6:10: upstreams.openai.key: the value needs the variable NOT_SET, which \
         is not set; export NOT_SET=… first, or write `${NOT_SET:-default}`",
        "/etc/f.yaml:7:13: upstreams.openai.pool: \"min_conections\" is not a known key; did you \
         mean `min_connections`? Keys allowed here: min_connections, max_connections, \
         streams_per_connection, max_age, max_requests, ping_interval, ping_after, suspect_after, \
         ping_timeout, idle, max_idle, queue, queue_timeout, stream_window, connection_window",
        "/etc/f.yaml:7:41: upstreams.openai.pool.max_age: \"5 min\" is not a duration (numbers \
         with `ms`, `s`, `m` or `h`); write 5m",
        "/etc/f.yaml:9:11: routes[0].path: \"v1\" does not begin with `/`; write it like /v1",
        "/etc/f.yaml:10:15: routes[0].upstream: is not a configured name; did you mean openai?",
        "/etc/f.yaml:11:1: \"limts\" is not a known key; did you mean `limits`? Keys allowed here: \
         listen, trusted_proxies, admin, admin_token, allowed_hosts, allowed_origins, workers, pin, \
         access_log, access_log_format, via, reload, upgrade_timeout, store, upstreams, groups, \
         routes, clients, client_groups, prices, privacy, redis, client, limits",
    ];
    assert_eq!(faults, expected);
}

#[test]
fn a_key_that_is_known_elsewhere_is_sent_there() {
    let faults = World::default().faults(&least("", "    frame_gap: 5s\n"));
    assert!(faults[0].contains("it belongs at `upstreams.NAME.deadlines.frame_gap`"), "{faults:?}");
}

#[test]
fn text_that_is_not_yaml_is_refused_with_its_place() {
    for text in ["a: [1, 2", "a: \"never closed", "a: b: c", "a:\n\tb: c", "- a\nb: c"] {
        let faults = World::default().faults(text);
        assert!(faults[0].contains(" is not valid YAML: "), "{text:?}: {faults:?}");
    }
    let faults = World::default().faults("listen: 127.0.0.1:80\nadmin: [\n");
    assert!(faults[0].starts_with("/etc/f.yaml:3:1: "), "{faults:?}");
}

#[test]
fn a_variable_within_brackets_is_told_of_its_missing_quotes() {
    let faults = World::default().faults("upstreams: { a: { key: ${KEY}, url: http://a } }\n");
    assert!(faults[0].contains("put quotes around a `${…}`"), "{faults:?}");
}

#[test]
fn a_fault_is_one_line_and_not_a_page() {
    let long = "x".repeat(1_000);
    let root = format!("via: \"a\\nb\"\n\"c\\nd\": 1\nworkers: {long}\n{long}: 1\n");
    let faults = World::default().faults(&least(&root, ""));
    assert_eq!(faults.len(), 4, "{faults:?}");
    for fault in faults {
        assert!(!fault.contains('\n') && fault.len() < 400, "{fault}");
    }
    let faults =
        World::default().faults("upstreams: { \"a\\nb\": {} }\nroutes: [{ path: /, upstream: x }]");
    assert!(faults[0].contains("upstreams.a\\nb: "), "{faults:?}");
}

#[test]
fn an_empty_file_says_what_it_needs() {
    for text in ["", "\n\n", "# nothing\n"] {
        let faults = World::default().faults(text);
        assert_eq!(faults.len(), 1, "{faults:?}");
        assert!(faults[0].contains("needs at least `upstreams` and `routes`"), "{faults:?}");
    }
}

#[test]
fn bytes_that_are_not_utf8_are_refused_with_their_place() {
    let world = World::default().file("f.yaml", b"via: true\nadm\xffin: off".as_slice());
    let refused = load("f.yaml".as_ref(), &world).unwrap_err().to_string();
    assert_eq!(refused, "f.yaml:2:4: is not valid UTF-8 from here on; save the file as UTF-8");
}

#[test]
fn a_file_that_can_t_be_read_is_named() {
    let refused = load("gone.yaml".as_ref(), &World::default()).unwrap_err().to_string();
    assert!(refused.starts_with("gone.yaml: can't be read: "), "{refused}");
}

#[test]
fn a_key_written_twice_is_refused_everywhere() {
    let twice_at_the_root = least("via: true\nvia: false\n", "");
    assert_only_fault(
        &twice_at_the_root,
        "/etc/f.yaml:8:1: `via` is written twice; the first one is on line 7; remove one of them",
    );
    let two_of_one_name = "upstreams:\n  a: { url: http://a }\n  a: { url: http://b }\n\
                           routes: [{ path: /, upstream: a }]\n";
    assert_only_fault(
        two_of_one_name,
        "/etc/f.yaml:3:3: `a` is written twice; the first one is on line 2; remove one of them",
    );
}

#[test]
fn what_is_required_is_missed() {
    let faults = World::default().faults("via: true\n");
    assert_eq!(
        faults,
        [
            "/etc/f.yaml:1:1: `upstreams` is missing; it has no default",
            "/etc/f.yaml:1:1: `routes` is missing; it has no default",
        ]
    );
    let faults = World::default().faults("upstreams: { a: {} }\nroutes: [{}]\n");
    let expected = ["`url` is missing", "`path` is missing", "`upstream` is missing"];
    for (fault, expected) in faults.iter().zip(expected) {
        assert!(fault.contains(expected), "{faults:?}");
    }
    assert_eq!(faults.len(), expected.len(), "{faults:?}");
}

#[test]
fn a_value_of_the_wrong_shape_is_refused() {
    for (root, expected) in [
        ("via: [true]\n", "7:6: via: is not a single value"),
        ("via:\n", "via: has no value; write a value, or remove the line"),
        ("client: 5s\n", "7:9: client: is not a section; write its keys: head, idle, body_idle"),
        ("listen: []\n", "7:9: listen: is an empty list"),
        ("listen: [{}]\n", "7:10: listen[0]: `address` is missing"),
        ("? [a]\n: b\n", "is a key that is not text"),
        ("via: !secret true\n", "has a tag, `!…`"),
    ] {
        let faults = World::default().faults(&least(root, ""));
        assert!(faults[0].contains(expected), "{root:?}: {faults:?}");
    }
    let faults = World::default().faults("upstreams: [a]\nroutes: { path: / }\n");
    assert!(faults[0].contains("upstreams: has no named entries"), "{faults:?}");
    assert!(faults[1].contains("routes: is not a list; begin each item with `- `"), "{faults:?}");
}

#[test]
fn a_second_document_is_refused() {
    let faults = World::default().faults(&least("---\nvia: true\n", ""));
    assert!(faults[0].contains("7:1: starts a second document"), "{faults:?}");
}

#[test]
fn aliases_of_aliases_do_not_fill_the_memory() {
    let level = |(from, to)| {
        let many = vec![format!("*{from}"); 9].join(", ");
        format!("{to}: &{to} [{many}]\n")
    };
    let levels: String = ('a'..='j').zip('b'..='k').map(level).collect();
    let text = format!("a: &a [x, x, x, x, x, x, x, x, x]\n{levels}");
    let faults = World::default().faults(&text);
    assert!(faults[0].contains("expands to more than"), "{faults:?}");
}

#[test]
fn nesting_without_end_is_refused() {
    let faults = World::default().faults(&"[".repeat(10_000));
    assert!(faults[0].contains("is nested deeper than") || faults[0].contains("not valid YAML"));
    let faults = World::default().faults(&"- ".repeat(10_000));
    assert!(faults[0].contains("is nested deeper than") || faults[0].contains("not valid YAML"));
}

#[test]
fn an_ipv6_address_without_quotes_is_told_to_have_some() {
    for root in [
        "listen: [::]:8080\n",
        "listen: [::1]:8080 # loopback\n",
        "listen: [127.0.0.1:80, [::]:8080]\n",
        "admin: [::]:8080\n",
        "listen: [::]:8080",
    ] {
        for text in [least(root, ""), format!("{root}\n{}", least("", ""))] {
            let faults = World::default().faults(&text);
            let expected = "put quotes around an IPv6 address: \"[::";
            assert!(faults[0].contains(expected), "{root:?}: {faults:?}");
        }
    }
}
