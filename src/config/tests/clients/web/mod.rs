mod cors;

use super::{World, least};
use crate::config::Allowed;

fn allowed(any: bool, names: &[&str]) -> Allowed {
    Allowed { any, names: names.iter().map(|name| (*name).to_owned()).collect() }
}

#[test]
fn origins_are_kept_as_browsers_write_them() {
    let origins = |written: &str| {
        let text = least(&format!("allowed_origins: {written}\n"), "");
        World::default().read(&text).unwrap().allowed_origins
    };
    assert_eq!(World::default().read(&least("", "")).unwrap().allowed_origins, Allowed::default());
    assert_eq!(origins("'*'"), allowed(true, &["*"]));
    assert_eq!(origins("HTTPS://Chat.Example:443"), allowed(false, &["https://chat.example"]));
    assert_eq!(
        origins("[http://a.test:80, http://a.test:443, chrome-extension://abc]"),
        allowed(false, &["http://a.test", "http://a.test:443", "chrome-extension://abc"])
    );
    assert!(origins("['http://[::1]:3000', '*']").any);
}

#[test]
fn hosts_are_names_without_a_port() {
    let hosts = |written: &str| {
        let text = least(&format!("allowed_hosts: {written}\n"), "");
        World::default().read(&text).unwrap().allowed_hosts
    };
    assert_eq!(hosts("[API.example, 10.0.0.1]"), allowed(false, &["api.example", "10.0.0.1"]));
    assert_eq!(hosts("'[2001:db8::1]'"), allowed(false, &["[2001:db8::1]"]));
    assert_eq!(hosts("'*'"), allowed(true, &["*"]));
}

#[test]
fn what_is_none_of_them_says_how_to_write_it() {
    for (line, said) in [
        ("allowed_origins: chat.example", "is not an origin; write it like https://chat.example"),
        (
            "allowed_origins: https://a.test/",
            "has a path, and an origin has none; write https://a.test",
        ),
        ("allowed_origins: https://a.test/x", "is not an origin"),
        ("allowed_origins: https://", "is not an origin"),
        ("allowed_origins: 'null'", "is not an origin"),
        ("allowed_origins: 'https://a.test b'", "is not an origin"),
        ("allowed_origins: []", "is an empty list"),
        ("allowed_hosts: api.example:8080", "is not a host name; write it like api.example"),
        ("allowed_hosts: http://api.example", "is not a host name"),
        ("allowed_hosts: ''", "is not a host name"),
        ("allowed_hosts: '[::x]'", "is not a host name"),
        ("admin_token: 'a b'", "the value contains a space"),
    ] {
        let faults = World::default().faults(&least(&format!("{line}\n"), ""));
        assert!(faults.len() == 1 && faults[0].contains(said), "{line}: {faults:?}");
    }
}
