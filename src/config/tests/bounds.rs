//! What a file may cost, whoever made it: a reload reads it in the process that serves.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use super::{World, least};
use crate::config::file::bounds::{
    LARGEST, LONGEST_KEY, LONGEST_VALUE, MOST_FAULTS, MOST_SECTIONS,
};

/// So many keys, each unlike any that there is.
fn keys(count: usize, indent: &str) -> String {
    (0..count).fold(String::new(), |mut text, nth| {
        let _ = writeln!(text, "{indent}key-{nth}: {nth}");
        text
    })
}

#[track_caller]
fn assert_first(text: &str, expected: &str) {
    let faults = World::default().faults(text);
    assert!(faults[0].contains(expected), "{:?} of {}", faults[0], faults.len());
}

#[test]
fn a_file_of_too_many_keys_is_refused_where_there_are_too_many() {
    let text = keys(220_000, "");
    let faults = World::default().faults(&text);
    assert_eq!(faults.len(), 1, "nothing else is read: {:?}", &faults[..2]);
    assert!(
        faults[0].starts_with("/etc/f.yaml:200001:1: expands to more than 400000 keys and values")
    );
}

#[test]
fn a_file_that_is_too_large_is_not_read() {
    let text = format!("{}# {}\n", least("", ""), "x".repeat(LARGEST));
    let expected = "/etc/f.yaml: is larger than 4194304 bytes, the limit for a configuration file; \
        check that it is the right file";
    assert_eq!(World::default().faults(&text), [expected]);
    let text = format!("{}#{}\n", least("", ""), "x".repeat(LARGEST - least("", "").len() - 2));
    assert_eq!(text.len(), LARGEST);
    assert!(World::default().read(&text).is_ok());
}

#[test]
fn one_value_and_one_key_have_their_bounds() {
    let value = |bytes| least(&format!("via: {}\n", "x".repeat(bytes)), "");
    assert_first(&value(LONGEST_VALUE), "is neither true nor false");
    assert_first(&value(LONGEST_VALUE + 1), "/etc/f.yaml:7:6: is a value longer than 65536 bytes");
    let key = |bytes| least(&format!("? {}\n: 1\n", "x".repeat(bytes)), "");
    assert_first(&key(LONGEST_KEY), "is not a known key");
    assert_first(&key(LONGEST_KEY + 1), "/etc/f.yaml:7:3: is a key longer than 1024 bytes");
}

#[test]
fn an_alias_counts_as_what_it_stands_for_before_it_is_copied() {
    let text = format!("a: &a {}\nb: [{}]\n", "x".repeat(LONGEST_VALUE), "*a, ".repeat(3_000));
    assert_first(&text, "/etc/f.yaml:2:505: expands to more than 8388608 bytes of keys and values");
    let list = "x, ".repeat(1_000);
    let text = format!("a: &a [{list}]\nb: [{}]\n", "*a, ".repeat(3_000));
    assert_first(&text, "expands to more than 400000 keys and values; an anchored part counts");
    // An anchor is a copy too, and one within another is a copy of a copy.
    let text = format!("a: {}[{list}]{}\n", "[&a ".repeat(14), "]".repeat(14));
    assert_first(
        &text.replace("[&a ", "&a [").replace("x, ", &"x, ".repeat(32)),
        "1:12: expands to more than 400000 keys and values",
    );
}

#[test]
fn variables_do_not_fill_the_memory() {
    let world = World::default().var("BIG", "x".repeat(LONGEST_VALUE / 2));
    let faults = world.faults(&least(&format!("via: {}\n", "${BIG}".repeat(10_000)), ""));
    let expected = "/etc/f.yaml:7:6: via: the value is more than 65536 bytes with its variables \
        filled in; check that these are the right variables";
    assert_eq!(faults, [expected]);
    let faults = world.faults(&least(&format!("via: {}\n", "${NONE}".repeat(9_000)), ""));
    assert!(faults[0].len() < 400 && faults[0].contains(" and others, which"), "{faults:?}");
}

#[test]
fn of_many_faults_a_hundred_are_told_and_the_rest_counted() {
    let text = format!("{}{}", keys(5_000, ""), keys(5_000, ""));
    for text in [least(&keys(5_000, ""), ""), least(&text, "")] {
        let faults = World::default().faults(&text);
        assert_eq!(faults.len(), MOST_FAULTS + 1);
        let (first, rest) = faults.split_first().unwrap();
        let count = if rest[0].contains("twice") { 10_000 } else { 5_000 };
        let expected =
            format!("/etc/f.yaml: has {count} errors; the first {MOST_FAULTS} are shown");
        assert_eq!(*first, expected);
    }
}

#[test]
fn sections_that_are_looked_at_beside_each_other_are_bounded() {
    let mut text = String::from("upstreams: { api: { url: http://a } }\nroutes:\n");
    for nth in 0..MOST_SECTIONS {
        let _ = writeln!(text, "  - {{ path: /{nth}, upstream: api }}");
    }
    assert!(World::default().read(&text).is_ok());
    text += "  - { path: /more, upstream: api }\n";
    let expected = "/etc/f.yaml:3:3: routes: has more than 4096 entries; remove some";
    assert_eq!(World::default().faults(&text), [expected]);
    let listen = "127.0.0.1:0, ".repeat(257);
    assert_first(&least(&format!("listen: [{listen}]\n"), ""), "listen: has more than 256 entries");
}

/// The best of some rounds, since others use this machine too.
fn time(text: &str) -> Duration {
    let once = || {
        let begun = Instant::now();
        let _either = World::default().read(text);
        begun.elapsed()
    };
    (0..3).map(|_| once()).min().unwrap()
}

#[test]
fn time_grows_with_the_file_and_not_with_its_square() {
    type Make = fn(usize) -> String;
    let kinds: [(&str, Make); 7] = [
        ("keys at the root", |count| least(&keys(count, ""), "")),
        ("keys of an upstream", |count| least("", &keys(count, "    "))),
        ("keys written twice", |count| least(&"via: true\n".repeat(count), "")),
        ("upstreams", |count| keys(count, "  ").replacen("", "upstreams:\n", 1)),
        ("unknown upstreams", |count| {
            let mut text = String::from("upstreams:\n");
            for nth in 0..count / 8 {
                let _ = writeln!(text, "  name-{nth}: {{ url: http://a }}");
            }
            text += "routes:\n";
            for nth in 0..count / 8 {
                let _ = writeln!(text, "  - {{ path: /{nth}, upstream: nome-{nth}x }}");
            }
            text
        }),
        ("anchors", |count| format!("a: [{}]\n", "&a x, *a, ".repeat(count / 4))),
        ("nothing", |count| format!("a: \"{}\n", "\n# x ".repeat(count))),
    ];
    for (kind, make) in kinds {
        let (short, long) = (time(&make(2_500)), time(&make(20_000)));
        assert!(long < short * 8 * 4, "{kind}: {long:?} for eight times {short:?}");
    }
}

/// Whatever the parser does of its own, were there anything quadratic in it.
#[test]
fn no_text_takes_long() {
    let full = std::env::var_os("FIRSTBYTE_FULL").is_some();
    let (size, patience) = if full { (LARGEST - 8, 30) } else { (LARGEST / 16, 10) };
    for part in [
        "a: b\n",
        "a",
        "- ",
        "? ",
        ": ",
        "[",
        "{",
        "{a: ",
        "[a, ",
        "\"a\\n",
        "'a''",
        "|\n a\n",
        "&a ",
        "*a ",
        "!t ",
        "#",
        "# a\n",
        "\n",
        " ",
        "\t",
        "---\n",
        "%YAML 1.2\n",
        "a:\n ",
        "<<: *a\n",
        "{}, ",
        "ü",
        "\\",
        "a: |\n  b\n",
    ] {
        for before in ["", "a: ", "a: [", "a: \"", "a: |\n "] {
            let text = format!("{before}{}", part.repeat(size / part.len()));
            let begun = Instant::now();
            let _refused = World::default().read(&text);
            let took = begun.elapsed();
            println!("{before:?} {part:?}: {took:?}");
            assert!(took < Duration::from_secs(patience), "{before:?} {part:?}: {took:?}");
        }
    }
}
