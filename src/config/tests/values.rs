use super::{World, least};
use crate::config::kind::quantity::{show_duration, show_size};
use crate::config::{Config, parse_duration};
use std::time::Duration;

fn limits(line: &str) -> Result<Config, Vec<String>> {
    read(&least(&format!("limits:\n  {line}\n"), ""))
}

fn upstream(line: &str) -> Result<Config, Vec<String>> {
    read(&least("", &format!("    {line}\n")))
}

fn read(text: &str) -> Result<Config, Vec<String>> {
    let read = World::default().read(text);
    read.map_err(|faults| faults.iter().map(ToString::to_string).collect())
}

#[test]
fn durations_are_read_in_four_units_together_and_with_a_point() {
    for (text, milliseconds) in [
        ("500ms", 500),
        ("5s", 5_000),
        ("10m", 600_000),
        ("1h", 3_600_000),
        ("1m30s", 90_000),
        ("1h0m1s1ms", 3_601_001),
        ("0.5s", 500),
        ("1.5h", 5_400_000),
        ("0.001s", 1),
        ("1m0.5s", 60_500),
    ] {
        assert_eq!(parse_duration(text), Ok(Duration::from_millis(milliseconds)), "{text}");
    }
}

#[test]
fn a_duration_as_others_write_it_is_refused_with_ours() {
    for (text, ours) in [
        ("5", "5s"),
        ("30sec", "30s"),
        ("5 minutes", "5m"),
        ("30s1m", "90s"),
        ("1m1m", "2m"),
        ("1m 30s", "90s"),
        ("1m30", "90s"),
        ("0.0001s", "30s"),
        ("1.5ms", "2ms"),
        (".5s", "500ms"),
        ("1.s", "1s"),
        ("1.2.3s", "30s"),
        ("1d", "24h"),
        ("5S", "5s"),
        ("-5s", "30s"),
        ("soon", "30s"),
        ("", "30s"),
        ("s", "30s"),
        ("99999999999999999999s", "30s"),
    ] {
        let refused = parse_duration(text).unwrap_err();
        assert!(refused.ends_with(&format!("; write {ours}")), "{text:?}: {refused}");
    }
}

#[test]
fn a_duration_of_nothing_or_of_weeks_is_refused() {
    for text in ["0s", "0ms", "169h"] {
        let faults = upstream(&format!("deadlines: {{ connect: {text} }}")).unwrap_err();
        let expected = "is out of range; write a duration from 1ms to 168h";
        assert!(faults[0].ends_with(expected), "{faults:?}");
    }
}

#[test]
fn sizes_are_read_with_binary_units_or_none() {
    for (text, bytes) in [
        ("65536", 65_536),
        ("64KiB", 65_536),
        ("64Ki", 65_536),
        ("1.5MiB", 3 << 19),
        ("1GiB", 1 << 30),
    ] {
        let config = limits(&format!("replay_bytes: {text}")).unwrap();
        assert_eq!(config.limits.replay_bytes, bytes, "{text}");
    }
    for (text, ours) in [
        ("64KB", "64KiB for 1024s, or 64000 for 1000s"),
        ("64k", "64KiB for 1024s, or 64000 for 1000s"),
        ("1.5M", "1536KiB for 1024s, or 1500000 for 1000s"),
        ("64 KiB", "64KiB"),
        ("1e6", "64KiB"),
        ("0.3KiB", "307"),
    ] {
        let faults = limits(&format!("replay_bytes: {text}")).unwrap_err();
        assert!(faults[0].ends_with(&format!("; write {ours}")), "{text}: {faults:?}");
    }
}

#[test]
fn what_is_shown_reads_back_as_itself() {
    for milliseconds in [1, 999, 1_000, 1_500, 60_000, 90_000, 3_600_000, 5_400_000] {
        let duration = Duration::from_millis(milliseconds);
        assert_eq!(parse_duration(&show_duration(duration)), Ok(duration));
    }
    assert_eq!([show_size(0), show_size(1000), show_size(1 << 20)], ["0", "1000", "1MiB"]);
}

#[test]
fn windows_stay_within_http2_s_bounds() {
    for (line, within) in [
        ("pool: { stream_window: 2147483647, connection_window: 2147483647 }", true),
        ("pool: { connection_window: 65535, stream_window: 16384 }", true),
        ("pool: { connection_window: 2147483648 }", false),
        ("pool: { connection_window: 65534 }", false),
        ("pool: { stream_window: 2GiB }", false),
        ("pool: { stream_window: 16383 }", false),
        ("pool: { stream_window: 32MiB }", false), // more than the connection's
    ] {
        assert_eq!(upstream(line).is_ok(), within, "{line}");
    }
}

#[test]
fn a_pool_that_can_t_be_is_refused() {
    let faults = upstream("pool: { min_connections: 9, max_connections: 4 }").unwrap_err();
    let expected = "4:30: upstreams.api.pool.min_connections: 9 is more than max_connections, 4; \
                    write at most 4, or raise max_connections";
    assert!(faults[0].ends_with(expected), "{faults:?}");
    upstream("pool: { min_connections: 4, max_connections: 4 }").unwrap();
    // The default of the other counts too.
    assert!(upstream("pool: { max_connections: 1 }").is_err());
    assert!(upstream("pool: { min_connections: 65 }").is_err());
    for count in ["0", "-1", "1.5", "1_0", "two"] {
        assert!(upstream(&format!("pool: {{ max_connections: {count} }}")).is_err(), "{count}");
    }
}

#[test]
fn true_and_false_are_words_and_others_are_suggested() {
    let read = |text: &str| World::default().read(&least(&format!("via: {text}\n"), ""));
    assert!(!read("false").unwrap().via && read("True").unwrap().via);
    for (text, ours) in [("yes", "true"), ("off", "false"), ("maybe", "true or false")] {
        let refused = read(text).unwrap_err().to_string();
        assert!(refused.ends_with(&format!("; write {ours}")), "{refused}");
    }
}

#[test]
fn a_word_that_is_not_known_gets_the_nearest() {
    let faults = upstream("protocol: http/2").unwrap_err();
    assert!(faults[0].contains("did you mean http2? Allowed: auto, http1, http2"), "{faults:?}");
}

#[test]
fn a_url_is_refused_for_what_a_proxy_could_not_keep() {
    for (url, expected) in [
        ("api.test/v1", "has no scheme; begin with `https://` or `http://`"),
        ("htps://api.test", "write `https://`"),
        ("https://user:pass@api.test", "the value has a user name or password"),
        ("https://api.test/v1?key=a|b", "the value has a character in its query that is not"),
        ("'https://api.test/v1#x'", "the value has a fragment"),
        ("https://", "has no host"),
        ("https:///v1", "has no host"),
        ("https://api.test:0", "has a port that is not a number from 1 to 65535"),
        ("https://api.test:99999", "has a port"),
        ("https://api.test:", "has a port"),
        ("https://2001:db8::1/v1", "has an IPv6 address without brackets"),
        ("'https://[nonsense]/v1'", "has an IPv6 address that is not valid"),
        ("https://bücher.test", "has a host that is not ASCII"),
        ("https://a b/v1", "has a character in its host"),
        ("https://api.test/a b", "has a character in its path"),
        ("https://api.test/a/../b", "has a `.` or `..` in its path"),
        ("https://api.test//v1", "has an empty segment"),
    ] {
        let text = format!("upstreams: {{ a: {{ url: \"{}\" }} }}\n", url.trim_matches('\''));
        let text = text + "routes: [{ path: /, upstream: a }]\n";
        let faults = World::default().faults(&text);
        assert!(faults.len() == 1 && faults[0].contains(expected), "{url}: {faults:?}");
    }
}

#[test]
fn a_route_s_path_is_a_plain_prefix() {
    for (path, expected) in [
        ("v1", "does not begin with `/`"),
        ("/v1/", "ends with `/`; write /v1"),
        ("//", "ends with `/`; write /"),
        ("/v1?x", "has a query or fragment"),
        ("/a/../b", "has a `.` or `..`"),
        ("/a//b", "has an empty segment"),
        ("/a b", "has a character in its path"),
    ] {
        let text = format!(
            "upstreams: {{ a: {{ url: http://a }} }}\n\
                            routes: [{{ path: \"{path}\", upstream: a }}]\n"
        );
        let faults = World::default().faults(&text);
        assert!(faults.len() == 1 && faults[0].contains(expected), "{path}: {faults:?}");
    }
}

#[test]
fn a_lame_duck_is_what_kubernetes_needs_in_a_pod_and_nothing_elsewhere() {
    let client = |text: &str| {
        let root = format!("client: {{ {text} }}\n");
        World::default().read(&least(&root, "")).map(|config| config.client)
    };
    let seconds = |text: &str, in_a_pod| client(text).unwrap().lame_duck(in_a_pod).as_secs();
    assert_eq!([seconds("", true), seconds("", false)], [5, 0]);
    assert_eq!([seconds("lame_duck: auto", true), seconds("lame_duck: 0", true)], [5, 0]);
    assert_eq!([seconds("lame_duck: 7s", true), seconds("lame_duck: 7s", false)], [7, 7]);
    assert_eq!(seconds("drain: 4s", true), 2, "there must be time to drain");
    for (text, expected) in [
        ("lame_duck: 30s", "client.lame_duck: leaves no time to drain: `drain` is 30s"),
        ("lame_duck: 5s, drain: 4s", "leaves no time to drain: `drain` is 4s"),
        ("lame_duck: soon", "client.lame_duck: \"soon\" is not a duration"),
    ] {
        let faults = client(text).unwrap_err().to_string();
        assert!(faults.contains(expected), "{faults}");
    }
}
