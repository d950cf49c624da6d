//! `routes[].models`: where a request goes by its model, and what is refused.

use super::World;
use crate::config::{Config, GroupId, ModelId, Target, UpstreamId, changes, describe};

fn text(route: &str) -> String {
    format!(
        "upstreams: {{ a: {{ url: http://a/v1 }}, b: {{ url: http://b/v1 }} }}\n\
         groups: {{ any: {{ members: [{{ upstream: a }}, {{ upstream: b }}] }} }}\n\
         routes:\n  - path: /v1\n{route}"
    )
}

fn read(route: &str) -> Config {
    World::default().read(&text(route)).unwrap()
}

#[track_caller]
fn assert_fault(route: &str, expected: &str) {
    let faults = World::default().faults(&text(route));
    assert!(faults.len() == 1 && faults[0].contains(expected), "{expected:?} in {faults:#?}");
}

#[test]
fn the_longest_literal_text_wins_and_of_equals_the_first() {
    let config = read(
        "    models: { '*': b, gpt-*: a, gpt-4o-*: any, gpt-4o-mini: b, '*-mini': a, x-*: a, '*-x': b }\n",
    );
    let models = config.routes[0].models.as_ref().unwrap();
    let (a, b) = (Target::Upstream(UpstreamId(0)), Target::Upstream(UpstreamId(1)));
    for (model, target) in [
        ("gpt-4", a),
        ("gpt-4o-2024", Target::Group(GroupId(0))),
        ("gpt-4o-mini", b),
        ("o1-mini", a),
        ("x-x", a),
        ("other", b),
        ("", b),
    ] {
        assert_eq!(models.target(model), Some(target), "{model}");
    }
    assert_eq!(config.routes[0].target, Target::ByModel);
    assert_eq!(models.otherwise, None);
}

#[test]
fn what_no_pattern_takes_goes_to_otherwise_or_nowhere() {
    let config = read("    models: { gpt-*: a }\n    otherwise: any\n");
    let models = config.routes[0].models.as_ref().unwrap();
    assert_eq!(models.target("llama"), Some(Target::Group(GroupId(0))));
    let config = read("    models: { gpt-*: a }\n");
    assert_eq!(config.routes[0].models.as_ref().unwrap().target("llama"), None);
}

#[test]
fn a_model_counts_as_the_most_specific_pattern_of_all_routes() {
    let config = read(
        "    models: { gpt-*: a, o1: a }\n  - path: /v2\n    models: { gpt-4o: b, gpt-*: b }\n",
    );
    let labels: Vec<_> = config.models.iter().map(crate::config::Glob::text).collect();
    assert_eq!(labels, ["gpt-*", "o1", "gpt-4o"], "each once");
    assert_eq!(config.model_label("gpt-4o"), Some(ModelId(2)));
    assert_eq!(config.model_label("gpt-4o-mini"), Some(ModelId(0)));
    assert_eq!(config.model_label("llama"), None);
    assert!(read("    upstream: a\n").models.is_empty());
}

#[test]
fn exactly_one_of_upstream_and_models_stands() {
    assert_fault("    models: { x: a }\n    upstream: a\n", "upstream: stands beside `models`");
    assert_fault("    limits: { streams: 1 }\n", "`upstream` is missing; name an upstream");
    for alone in ["otherwise: a", "model_bytes: 1MiB", "models_refresh: 1m"] {
        let key = alone.split(':').next().unwrap();
        let expected = format!("routes[0].{key}: has no effect without `models`");
        assert_fault(&format!("    upstream: a\n    {alone}\n"), &expected);
    }
}

#[test]
fn a_pattern_or_name_that_cannot_be_used_is_told_with_its_place() {
    assert_fault("    models: {}\n", "f.yaml:5:13: routes[0].models: has no patterns");
    assert_fault("    models: a\n", "routes[0].models: has no names");
    assert_fault(
        "    models: { gpt-*: any1 }\n",
        "models.gpt-*: is not a configured name; did you",
    );
    assert_fault("    models: { 'gpt 4': a }\n", "gpt 4: the pattern is not a pattern");
    assert_fault("    models: { x: a }\n    otherwise: c\n", "otherwise: is not a configured name");
    assert_fault("    models: { x: a }\n    model_bytes: 1\n", "routes[0].model_bytes");
}

#[test]
fn it_is_described_and_its_change_is_told() {
    let config = read("    models: { x-*: b }\n");
    let told = describe(&config);
    assert!(told.contains("\n/v1, model x-* → b: http://b/v1"), "{told}");
    assert!(told.contains("\n/v1, otherwise → rejected with 404"), "{told}");
    assert!(told.contains("\nno route leads to a: "), "{told}");
    let other = read("    models: { x-*: b }\n    otherwise: a\n");
    assert_eq!(changes(&config, &other), ["routes"]);
    assert!(describe(&other).contains("\n/v1, otherwise → a: http://a/v1"));
    assert!(changes(&config, &read("    models: { x-*: b }\n")).is_empty());
}
