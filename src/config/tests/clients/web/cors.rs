use std::time::Duration;

use super::allowed;
use crate::config::Cors;
use crate::config::tests::{World, least};

#[test]
fn a_route_says_which_pages_may_use_it_and_how() {
    let route = |written: &str| {
        let text =
            "upstreams: { a: { url: http://a } }\nroutes: [{ path: /, upstream: a, cors: CORS }]\n";
        World::default().read(&text.replace("CORS", written)).unwrap().routes[0].cors.clone()
    };
    let full = Cors {
        origins: allowed(false, &["https://chat.example"]),
        headers: Vec::new(),
        credentials: false,
        max_age: Duration::from_secs(600),
    };
    assert_eq!(route("{ origins: https://chat.example }"), Some(full.clone()));
    let headers = vec!["x-team".to_owned()];
    let max_age = Duration::from_secs(60);
    let all =
        "{ origins: [https://chat.example], headers: X-Team, credentials: true, max_age: 1m }";
    assert_eq!(route(all), Some(Cors { headers, credentials: true, max_age, ..full }));
    assert_eq!(World::default().read(&least("", "")).unwrap().routes[0].cors, None);
}

#[test]
fn a_route_s_pages_are_named_and_no_stranger_gets_cookies() {
    for (cors, said) in [
        ("{}", "routes[0].cors: `origins` is missing"),
        ("", "routes[0].cors: `origins` is missing"),
        ("{ origins: chat.example }", "is not an origin"),
        ("{ origins: '*', credentials: true }", "can't be used together with origin `*`"),
        ("{ origins: '*', headers: 'a b' }", "is not the name of a header"),
    ] {
        let text = format!(
            "upstreams: {{ a: {{ url: http://a }} }}\nroutes:\n  - path: /\n    upstream: a\n    cors: {cors}\n"
        );
        let faults = World::default().faults(&text);
        assert!(faults.len() == 1 && faults[0].contains(said), "{cors}: {faults:?}");
    }
}
