//! `limits.adapt`: what it means and what is refused.

use super::World;
use crate::config::{Adapt, Config};

/// An upstream with these limits in line 2, and a route with those in line 3.
fn text(upstream: &str, route: &str) -> String {
    format!(
        "upstreams:\n  a: {{ url: http://a, limits: {upstream} }}\n\
         routes: [{{ path: /, upstream: a, limits: {route} }}]\n"
    )
}

fn read(upstream: &str, route: &str) -> Config {
    World::default().read(&text(upstream, route)).unwrap()
}

#[test]
fn it_is_off_until_it_has_a_ceiling() {
    let config = read("{ streams: 9 }", "{ adapt: { floor: 3 } }");
    assert_eq!((config.upstreams[0].adapt, config.routes[0].adapt), (None, None));
    let config = read("{ adapt: { ceiling: 100 } }", "{ adapt: { floor: 3, ceiling: 5 } }");
    let adapt = Adapt { floor: 8, ceiling: 100, tolerance_percent: 200 };
    assert_eq!(config.upstreams[0].adapt, Some(adapt));
    assert_eq!(config.routes[0].adapt, Some(Adapt { floor: 3, ceiling: 5, ..adapt }));
}

#[test]
fn the_fixed_limit_is_its_ceiling_too() {
    let config = read("{ streams: 40, adapt: { ceiling: 100 } }", "{}");
    assert_eq!(config.upstreams[0].adapt.map(|adapt| adapt.ceiling), Some(40));
    assert_eq!(config.upstreams[0].streams, Some(40));
}

#[test]
fn a_floor_above_what_may_ever_be_is_refused() {
    for (limits, expected) in [
        (
            "{ adapt: { floor: 9, ceiling: 8 } }",
            "upstreams.a.limits.adapt.floor: is higher than ceiling; lower floor, or raise ceiling",
        ),
        (
            "{ streams: 4, adapt: { ceiling: 100, floor: 5 } }",
            "upstreams.a.limits.adapt.floor: is higher than limits.streams; lower floor, or raise \
             limits.streams, which always holds",
        ),
    ] {
        let faults = World::default().faults(&text(limits, "{}"));
        assert!(faults.len() == 1 && faults[0].ends_with(expected), "{faults:?}");
        assert!(faults[0].starts_with("/etc/f.yaml:2:"), "{faults:?}");
    }
}
