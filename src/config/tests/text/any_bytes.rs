use std::path::Path;

use proptest::prelude::*;

use super::World;
use crate::config::{describe, parse};

/// Pieces that lead further into the reader than bytes at random would.
fn pieces() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("upstreams:\n  a:\n    url: http://a\n"),
        Just("routes:\n  - path: /\n    upstream: a\n"),
        Just("listen: "),
        Just("pool: { max_age: "),
        Just("key: ${"),
        Just("key: file:"),
        Just("&a "),
        Just("*a "),
        Just("{"),
        Just("}"),
        Just("["),
        Just("]"),
        Just("- "),
        Just(": "),
        Just("\n"),
        Just("  "),
        Just("|\n"),
        Just("\""),
        Just("\"a\\n\\e\": "),
        Just("!t "),
        Just("<<: *a\n"),
        Just("---\n"),
        Just("5s"),
        Just("ü"),
    ];
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

/// Reads, prints what came of it, and holds the faults to their promises.
fn read(bytes: &[u8]) {
    match parse(Path::new("f.yaml"), bytes, &World::default()) {
        Ok(config) => assert!(!describe(&config).is_empty()),
        Err(faults) => {
            assert!(faults.iter().count() > 0);
            for line in faults.iter().map(ToString::to_string) {
                assert!(
                    line.starts_with("f.yaml:") && !line.contains(char::is_control),
                    "{line:?}"
                );
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_at_all_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        read(&bytes);
    }

    #[test]
    fn no_text_at_all_makes_the_reader_panic(text in "\\PC{0,200}") {
        read(text.as_bytes());
    }

    #[test]
    fn no_mixture_of_what_files_are_made_of_makes_the_reader_panic(text in pieces()) {
        read(text.as_bytes());
    }
}
