use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use super::World;
use crate::config::{Arguments, Config, Scheme, from_env, without_file};

fn with_key() -> World {
    World::default().var("OPENAI_API_KEY", "sk-test")
}

/// Where a client's path leads, by the rules of `Route::path` and `Upstream::base_path`; `None`
/// where no route takes it.
fn leads_to(config: &Config, path: &str) -> Option<String> {
    let (prefix, base_path) = (&*config.routes[0].path, &*config.upstreams[0].base_path);
    let rest = path.strip_prefix(prefix.trim_end_matches('/'))?;
    let on_a_boundary = rest.is_empty() || rest.starts_with('/');
    let whole = if base_path.is_empty() { path.to_owned() } else { format!("{base_path}{rest}") };
    on_a_boundary.then_some(whole)
}

#[test]
fn a_key_alone_serves_the_openai_api() {
    let config = from_env(&with_key()).unwrap();
    let upstream = &config.upstreams[0];
    let default = "127.0.0.1:8080".parse::<std::net::SocketAddr>().unwrap();
    assert_eq!(config.listen, [default.into()]);
    assert_eq!(config.admin, Some("127.0.0.1:9090".parse().unwrap()));
    assert_eq!(
        (upstream.scheme, &*upstream.host, upstream.port),
        (Scheme::Https, "api.openai.com", 443)
    );
    assert!(upstream.key.is_some());
}

#[test]
fn a_client_s_path_never_gets_a_second_v1() {
    for (base, path, expected) in [
        ("", "/v1/chat/completions", "/v1/chat/completions"),
        ("https://api.test/v1", "/v1/chat/completions", "/v1/chat/completions"),
        ("https://api.test/v1/", "/v1/models", "/v1/models"),
        ("https://api.test/openai/v1", "/v1/models", "/openai/v1/models"),
        ("http://localhost:8000", "/v1/models", "/v1/models"),
        ("http://localhost:8000/", "/health", "/health"),
    ] {
        let config = from_env(&with_key().var("OPENAI_BASE_URL", base)).unwrap();
        assert_eq!(leads_to(&config, path).as_deref(), Some(expected), "{base}");
    }
}

#[test]
fn without_a_key_it_says_how_to_set_one_and_what_needs_none() {
    for world in [World::default(), World::default().var("OPENAI_API_KEY", "")] {
        let refused = from_env(&world).unwrap_err().to_string();
        assert!(
            refused.starts_with("OPENAI_API_KEY: is not set; set it with `export"),
            "{refused}"
        );
        assert!(refused.contains("`firstbyte demo` needs no key"), "{refused}");
        assert_eq!(refused.lines().count(), 1, "{refused}");
    }
}

#[test]
fn every_bad_variable_is_named_and_none_is_shown() {
    let world = World::default()
        .var("OPENAI_API_KEY", "canary\ncanary")
        .var("OPENAI_BASE_URL", "canary.test")
        .var("OPENAI_ORG_ID", "canary canary")
        .var("OPENAI_PROJECT_ID", OsStr::from_bytes(b"canary\xff"));
    let refused = from_env(&world).unwrap_err().to_string();
    for name in [
        "OPENAI_API_KEY: contains",
        "OPENAI_BASE_URL: has no scheme",
        "OPENAI_ORG_ID: contains",
        "OPENAI_PROJECT_ID: is not UTF-8",
    ] {
        assert!(refused.contains(name), "{name}: {refused}");
    }
    assert!(!refused.contains("canary"), "{refused}");
    assert_eq!(refused.lines().count(), 4, "{refused}");
}

#[test]
fn a_base_url_meant_for_the_sdk_is_not_followed_in_a_circle() {
    let world = with_key().var("OPENAI_BASE_URL", "http://localhost:8080/v1");
    let refused = from_env(&world).unwrap_err().to_string();
    assert!(refused.contains("points to firstbyte's own listener"), "{refused}");
}

#[test]
fn the_sdk_s_organization_and_project_go_with_the_key() {
    let world = with_key().var("OPENAI_ORG_ID", "org-1").var("OPENAI_PROJECT_ID", "");
    let config = from_env(&world).unwrap();
    assert_eq!(config.upstreams[0].organization.as_deref(), Some("org-1"));
    assert_eq!(config.upstreams[0].project, None);
}

#[test]
fn where_it_listens_is_said_by_arguments_or_else_by_variables() {
    let world = with_key()
        .var("FIRSTBYTE_LISTEN", "0.0.0.0:8080,[::]:8080, 127.0.0.1:81")
        .var("FIRSTBYTE_ADMIN", "0.0.0.0:9091");
    let config = from_env(&world).unwrap();
    let listen: Vec<_> = config.listen.iter().map(|one| one.address.to_string()).collect();
    assert_eq!(listen, ["0.0.0.0:8080", "[::]:8080", "127.0.0.1:81"]);
    assert_eq!(config.admin, Some("0.0.0.0:9091".parse().unwrap()));
    let arguments = Arguments { listen: vec!["127.0.0.2:1".into()], admin: Some("off".to_owned()) };
    let config = without_file(&world, &arguments).unwrap();
    assert_eq!(
        (&*config.listen, config.admin),
        (&["127.0.0.2:1".parse::<std::net::SocketAddr>().unwrap().into()][..], None)
    );
    let empty = with_key().var("FIRSTBYTE_LISTEN", "").var("FIRSTBYTE_ADMIN", "");
    assert_eq!(from_env(&empty).unwrap().listen, from_env(&with_key()).unwrap().listen);
}

#[test]
fn an_address_that_cannot_be_is_named_by_who_said_it() {
    let world = with_key().var("FIRSTBYTE_LISTEN", ":8080").var("FIRSTBYTE_ADMIN", "nowhere");
    let refused = from_env(&world).unwrap_err().to_string();
    assert!(refused.contains("FIRSTBYTE_LISTEN: is not an IP address with a port"), "{refused}");
    assert!(refused.contains("write 0.0.0.0:8080 to listen on all interfaces"), "{refused}");
    assert!(refused.contains("FIRSTBYTE_ADMIN: is not an IP address with a port"), "{refused}");
    let arguments =
        |listen: &str| Arguments { listen: vec![listen.into()], admin: Some("[::]:1".into()) };
    for (listen, expected) in [
        ("127.0.0.1:1", "--admin: [::]:1 is already used by the listener 127.0.0.1:1"),
        ("0.0.0.0:2,127.0.0.1:2", "--listen: 127.0.0.1:2 is already used by"),
        ("localhost", "--listen: is not an IP address with a port"),
    ] {
        let refused = without_file(&with_key(), &arguments(listen)).unwrap_err().to_string();
        assert!(refused.contains(expected), "{refused}");
    }
}

#[test]
fn a_base_url_is_not_followed_in_a_circle_wherever_it_listens() {
    let world = with_key()
        .var("OPENAI_BASE_URL", "http://localhost:81/v1")
        .var("FIRSTBYTE_LISTEN", "[::]:81");
    let refused = from_env(&world).unwrap_err().to_string();
    assert!(refused.contains("points to firstbyte's own listener"), "{refused}");
}
