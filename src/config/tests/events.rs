//! `routes[].events`, and which clients may use names.

use std::time::Duration;

use super::World;
use crate::config::{Config, Events, Target, changes, describe};

fn text(route: &str, below: &str) -> String {
    format!(
        "upstreams: {{ a: {{ url: http://a/v1 }} }}\n\
         routes:\n  - {{ path: /v1, upstream: a }}\n  - path: /events\n{route}{below}"
    )
}

fn read(route: &str, below: &str) -> Config {
    World::default().read(&text(route, below)).unwrap()
}

#[track_caller]
fn assert_fault(route: &str, below: &str, expected: &str) {
    let faults = World::default().faults(&text(route, below));
    assert!(faults.len() == 1 && faults[0].contains(expected), "{expected:?} in {faults:#?}");
}

#[test]
fn a_route_with_events_has_no_upstream_and_its_bounds() {
    let config = read("    events:\n", "");
    assert_eq!(config.routes[1].target, Target::Events);
    assert_eq!(config.routes[1].events.as_deref(), Some(&Events::default()));
    assert_eq!(config.routes[0].events, None);
    assert_eq!(config.members(Target::Events).count(), 0);
    assert!(describe(&config).contains("\n/events → named events"), "{}", describe(&config));
    let events = "    events: { history: 0, bytes: 2MiB, message: 1MiB, names: 7, subscribers: 8, \
                  heartbeat: 20s, expire: 2h }\n";
    let after = read(events, "");
    let expected = Events {
        history: 0,
        bytes: 2 << 20,
        message: 1 << 20,
        names: 7,
        subscribers: 8,
        heartbeat: Duration::from_secs(20),
        expire: Duration::from_secs(7200),
    };
    assert_eq!(after.routes[1].events.as_deref(), Some(&expected));
    assert_eq!(changes(&config, &after), ["routes"]);
}

#[test]
fn what_has_no_meaning_beside_events_is_a_fault() {
    assert_fault("    events: {}\n    upstream: a\n", "", "upstream: stands beside `events`");
    assert_fault("    events: {}\n    models: { '*': a }\n", "", "models: stands beside `events`");
    assert_fault(
        "    events: {}\n    deadlines: { frame_gap: 1s }\n",
        "",
        "deadlines: stands beside `events`",
    );
    assert_fault("    events: { bytes: 16KiB }\n", "", "could not keep one event; raise it");
    assert_fault("    cors: { origins: '*' }\n", "", "write `models` or `events`");
}

#[test]
fn a_client_has_the_rights_that_are_written_and_no_others() {
    let clients = "clients:\n  - { name: one, key: fb-one-canary-0123456789, publish: 'job:*' }\n  \
                   - { name: two, key: fb-two-canary-0123456789, subscribe: [news, '*'] }\n";
    let config = read("    events: {}\n", clients);
    let all = config.clients.as_ref().unwrap();
    let texts = |globs: &[crate::config::Glob]| -> Vec<String> {
        globs.iter().map(|glob| glob.text().to_owned()).collect()
    };
    assert_eq!(texts(&all[0].events.publish), ["job:*"]);
    assert!(all[0].events.subscribe.is_empty() && all[1].events.publish.is_empty());
    assert_eq!(texts(&all[1].events.subscribe), ["news", "*"]);
    let other = read("    events: {}\n", &clients.replace("job:*", "job:1"));
    assert_eq!(changes(&config, &other), ["clients"]);
    for wrong in ["a/b", "a b", "'%41'", "''"] {
        let clients = clients.replace("'job:*'", wrong);
        assert_fault("    events: {}\n", &clients, "is not a pattern of names of events");
    }
}
