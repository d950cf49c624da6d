//! `privacy`: what names end users, and the salt.

use secrecy::ExposeSecret;

use super::named::assert_fault;
use super::{World, least};

const SALT: &str = "salt-canary-0123";

fn with(privacy: &str) -> String {
    least(&format!("privacy:\n{privacy}"), "")
}

#[test]
fn headers_of_any_name_are_hashed_under_a_salt_of_sixteen_bytes() {
    let text = with(&format!("  hash_headers: [X-User-Id, x-forwarded-user]\n  salt: {SALT}\n"));
    let config = World::default().read(&text).unwrap();
    let privacy = config.privacy.as_ref().unwrap();
    assert_eq!(privacy.hash_headers, ["x-user-id", "x-forwarded-user"]);
    assert_eq!(privacy.salt.expose_secret(), SALT);
    assert!(config.warnings.is_empty() && !format!("{config:?}").contains("canary"));
    assert!(World::default().read(&least("", "")).unwrap().privacy.is_none());
}

#[test]
fn a_salt_that_is_missing_or_short_and_headers_that_are_none_are_refused() {
    let headers = "  hash_headers: [x-user-id]\n";
    for (text, expected) in [
        (headers.to_owned(), "8:3: privacy: `salt` is missing; it has no default"),
        (format!("  salt: {SALT}\n"), "8:3: privacy: `hash_headers` is missing; it has no default"),
        (
            format!("{headers}  salt: {}\n", &SALT[1..]),
            "9:9: privacy.salt: has fewer than 16 bytes, and can be guessed; `openssl rand -hex 32` makes one",
        ),
        (format!("{headers}  salt: ''\n"), "9:9: privacy.salt: the value is empty"),
        (
            format!("  hash_headers: ['x user']\n  salt: {SALT}\n"),
            "8:18: privacy.hash_headers: \"x user\" is not the name of a header; write it like x-user-id",
        ),
        (
            format!("  hash_headers: [a, A]\n  salt: {SALT}\n"),
            "8:21: privacy.hash_headers: names `a` twice; remove one of them",
        ),
        (
            format!("  hash_headers: []\n  salt: {SALT}\n"),
            "8:17: privacy.hash_headers: is an empty list",
        ),
    ] {
        assert_fault(&with(&text), &format!("/etc/f.yaml:{expected}"));
    }
    let many: Vec<_> = (0..17).map(|nth| format!("x-{nth}")).collect();
    let text = with(&format!("  hash_headers: [{}]\n  salt: {SALT}\n", many.join(", ")));
    assert_fault(
        &text,
        "/etc/f.yaml:8:17: privacy.hash_headers: has more than 16 headers; remove some",
    );
}

#[test]
fn where_no_log_shows_a_hash_that_is_said() {
    let text = with(&format!("  hash_headers: x-user-id\n  salt: {SALT}\n"));
    for (log, warned) in [
        ("access_log: off", true),
        ("access_log_format: clf", true),
        ("access_log_format: [ts, path]", true),
        ("access_log_format: [ts, hashed]", false),
        ("access_log_format: json", false),
    ] {
        let config = World::default().read(&format!("{text}{log}\n")).unwrap();
        let warnings: Vec<_> = config.warnings.iter().map(ToString::to_string).collect();
        assert_eq!(
            warnings.iter().any(|it| it.contains("privacy: has no effect")),
            warned,
            "{log}"
        );
    }
}
