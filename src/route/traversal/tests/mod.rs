use proptest::prelude::*;

use super::climbs;

mod readings;

#[test]
fn ordinary_paths_do_not_climb() {
    for rest in [
        "",
        "/",
        "/chat/completions",
        "/models/gpt-4.1",
        "/models/org%2Fmodel",
        "/models/org%2Fmodel/..",
        "/models/meta-llama%2fLlama-3.1-8B%2E..x",
        "/models/ft:gpt..x",
        "/files/a..b",
        "/files/..a",
        "/files/a..",
        "/files/...",
        "/files/.%2e.",
        "/files/%E6%96%87%E4%BB%B6..pdf",
        "/files/文件／v1．0",
        "/a/../b",
        "/a/b/../../c",
        "/./a/.",
        "//a//b",
        "/a;v=1/../b",
        "/a%20b/%E2%82%AC",
        "/100%",
        "/100%25/x",
        "/50%+50%/x",
        "/%e9t%e9/x",
        "/a%u20ACb",
        "/a%2fb%2f..",
        "/%2",
        "/%25",
        "/%%00zz/..",
        "/a%%002fb/x",
    ] {
        assert!(!climbs(rest), "{rest}");
    }
}

#[test]
fn every_spelling_of_a_climb_is_seen() {
    for rest in [
        "/..",
        "/../",
        "/../admin",
        "/a/../../b",
        "/a/../../b/c/d",
        "//..",
        "/a//../..",
        "/./..",
        "/%2e%2e/admin",
        "/%2E./admin",
        "/.%2e",
        "/%252e%252e/",
        "/%25252e./",
        "/..%2fadmin",
        "/..%252fadmin",
        "/..\\admin",
        "/..%5cadmin",
        "/a%2f..%2f..",
        "/..;/admin",
        "/..;x=1/admin",
        "/..%3b/admin",
    ] {
        assert!(climbs(rest), "{rest}");
    }
}

#[test]
fn what_may_be_a_separator_brings_nobody_down_and_hides_no_dots() {
    for rest in [
        "/a%2fb/../../admin",
        "/a%2Fb/../../admin",
        "/a%5cb/../../admin",
        "/a\\b/../../admin",
        "/a%252fb/../../admin",
        "/a%25252fb/../../admin",
        "/a%2fb%2fc/../%2e%2e/admin",
        "/;%5cb/../admin",
        "/;/../admin",
        "/;a/../admin",
        "/%3ba/../admin",
        "/a;%2fb/../../admin",
        "/a;b%2f..%2f..",
        "/%2f/../admin",
        "/\\/../admin",
    ] {
        assert!(climbs(rest), "{rest}");
    }
}

#[test]
fn odd_codings_of_dots_and_separators_are_seen() {
    for rest in [
        // Digits that are themselves written with `%`, and what is decoded from both sides.
        "/%25%32%65%25%32%65/admin",
        "/%%32e%%32e/admin",
        "/%2%65%2%65/admin",
        // Longer UTF-8 than need be, with continuation bytes and without.
        "/%c0%ae%c0%ae/admin",
        "/%e0%80%ae%f0%80%80%ae/admin",
        "/..%c0%af",
        "/..%c0%2fadmin",
        "/..%c1%1cadmin",
        "/a%c0%afb/../../admin",
        // What some decoders drop, or end the path at.
        "/..%00",
        "/..%00.png",
        "/.%09./admin",
        "/.%0a./admin",
        "/..%20/admin",
        "/..%3fx/admin",
        "/..%23x",
        "/%09/../admin",
        // What is decoded again once something in between was dropped.
        "/..%%002f",
        "/..%2%00f",
        "/..%%00%32%66",
        "/..%2%005%00%002f",
        "/%2e%2e%25%002f",
        "/%%002f..%25%32%66",
        "/..%%092f",
        "/..%%ff2f",
        "/..%%c3%a92f",
        "/%／．．／．．／2f",
        // No two digits behind the sign.
        "/x%/y/../../admin",
        "/%zz/../admin",
        "/.%1U/admin",
        "/%1N%1U%1U/admin",
        // Characters that stand for ASCII's in some encoding or normal form.
        "/%u002e%u002e/admin",
        "/..%u2215admin",
        "/%ef%bc%8e%ef%bc%8e/admin",
        "/．．/admin",
        "/‥/admin",
    ] {
        assert!(climbs(rest), "{rest}");
    }
}

/// Were each byte looked at as often as there are bytes, this would take minutes.
#[test]
fn the_longest_path_is_read_once() {
    let begun = std::time::Instant::now();
    for text in ["a%2f", "%25", "%%32", ";%5c", "x/../y/", "x%c0%2f"] {
        assert!(!climbs(&format!("/x/{}", text.repeat(64 * 1024 / text.len()))), "{text}");
    }
    assert!(begun.elapsed() < std::time::Duration::from_secs(60), "{:?}", begun.elapsed());
}

/// What paths that climb are made of, and little else.
const NASTY: &str = r"/ / / // . .. .. .. ... a b % %2 %25 25 2e 2f 5c %2e %2E %2e%2e %252e %25252e %%32e
    %25%32%66 %2f %2F %252f \ %5c %5C %255c ; %3b ;x= %00 %09 %20 %3f %61";

/// What nobody takes for anything else.
const PLAIN: &str = r"/ / // . a gpt-4 %7e %2f %5c \ %E2%82%AC %257e a..b";

/// The same with parameters. Of two separators behind one the first may be taken for a part of it and the
/// second not, so that there is none: `/;v=1%2fa%2f..` climbs.
const WITH_PARAMETERS: &str = r"/ / // . a gpt-4 %7e ;v=1 %E2%82%AC %257e a..b";

fn path(of: &'static str) -> impl Strategy<Value = String> {
    let parts: Vec<_> = of.split_whitespace().collect();
    let parts = proptest::collection::vec(proptest::sample::select(parts), 0..9);
    parts.prop_map(|parts| format!("/{}", parts.concat()))
}

fn cases() -> u32 {
    if std::env::var_os("FIRSTBYTE_FULL").is_some() { 100_000 } else { 10_000 }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(cases()) })]

    #[test]
    fn what_climbs_in_any_reading_climbs(rest in path(NASTY)) {
        if let Some(reading) = readings::climbing(&rest) {
            prop_assert!(climbs(&rest), "{} climbs, read as {:?}", rest, reading);
        }
    }

    #[test]
    fn a_path_without_a_segment_of_two_dots_does_not_climb(
        rest in prop_oneof![path(PLAIN), path(WITH_PARAMETERS)],
    ) {
        if !rest.contains("/..") && readings::climbing(&rest).is_none() {
            prop_assert!(!climbs(&rest), "{}", rest);
        }
    }

    #[test]
    fn no_text_makes_it_panic(rest in ".{0,40}", coded in "(%[0-9a-fA-F]{2}){0,40}") {
        let _either = climbs(&rest);
        let _either = climbs(&coded);
        let _either = climbs(&format!("/..{coded}{rest}/.."));
    }
}
