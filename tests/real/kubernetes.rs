//! `docs/kubernetes.md` as a reader uses it: its manifests are YAML that fits together, and firstbyte takes the
//! configuration in them.

use std::fs;

use saphyr_parser::{Event, Parser};
use serde_json::{Map, Value};

use crate::support::fixture::scratch;
use crate::support::program::run;

const PAGE: &str = include_str!("../../docs/kubernetes.md");

/// Each document of the page's YAML, by its kind.
fn manifests() -> Map<String, Value> {
    let blocks =
        PAGE.split("```yaml\n").skip(1).map(|block| block.split("```").next().unwrap_or(""));
    let documents: Vec<_> = blocks.flat_map(documents).collect();
    let kind = |document: &Value| document["kind"].as_str().expect("a kind").to_owned();
    documents.into_iter().map(|document| (kind(&document), document)).collect()
}

/// Scalars as text.
fn documents(yaml: &str) -> Vec<Value> {
    let (mut open, mut all): (Vec<(Value, Option<String>)>, Vec<Value>) = (Vec::new(), Vec::new());
    for event in Parser::new_from_str(yaml) {
        let done = match event.expect("YAML").0 {
            Event::Scalar(text, ..) => match open.last_mut() {
                Some((Value::Object(_), key @ None)) => {
                    *key = Some(text.into_owned());
                    continue;
                }
                _ => Value::String(text.into_owned()),
            },
            Event::SequenceStart(..) => {
                open.push((Value::Array(Vec::new()), None));
                continue;
            }
            Event::MappingStart(..) => {
                open.push((Value::Object(Map::new()), None));
                continue;
            }
            Event::SequenceEnd | Event::MappingEnd => open.pop().expect("it was begun").0,
            _ => continue,
        };
        match open.last_mut() {
            None => all.push(done),
            Some((Value::Array(items), _)) => items.push(done),
            Some((Value::Object(entries), key)) => {
                let name = key.take().expect("a key");
                assert!(!entries.contains_key(&name), "{name} is written twice");
                entries.insert(name, done);
            }
            Some(_) => unreachable!("only lists and maps are open"),
        }
    }
    all
}

fn number(value: &Value) -> u64 {
    let text = value.as_str().expect("a number");
    text.trim_end_matches('s').parse().expect("a number")
}

#[test]
fn the_manifests_of_the_page_fit_together() {
    let all = manifests();
    let kinds: Vec<_> = all.keys().map(String::as_str).collect();
    assert_eq!(kinds, ["Secret", "ConfigMap", "Deployment", "Service"]);
    let template = &all["Deployment"]["spec"]["template"];
    let (pod, container) = (&template["spec"], &template["spec"]["containers"][0]);
    for selector in
        [&all["Deployment"]["spec"]["selector"]["matchLabels"], &all["Service"]["spec"]["selector"]]
    {
        assert_eq!(*selector, template["metadata"]["labels"]);
    }
    let ports = container["ports"].as_array().expect("ports");
    let port = |name: &str| {
        let found = ports.iter().find(|port| port["name"] == name);
        found.expect("it is named")["containerPort"].as_str().expect("a port").to_owned()
    };
    for (probe, path) in
        [("startupProbe", "/livez"), ("livenessProbe", "/livez"), ("readinessProbe", "/readyz")]
    {
        assert_eq!(container[probe]["httpGet"]["path"], path);
        assert_eq!(container[probe]["httpGet"]["port"], "admin");
    }
    assert_eq!(all["Service"]["spec"]["ports"][0]["targetPort"], "http");
    let annotations = &template["metadata"]["annotations"];
    assert_eq!(annotations["prometheus.io/port"], port("admin"));
    assert!(container.get("lifecycle").is_none(), "no preStop");

    let config = all["ConfigMap"]["data"]["firstbyte.yaml"].as_str().expect("a configuration");
    let config = documents(config).remove(0);
    assert_eq!(config["listen"], format!("0.0.0.0:{}", port("http")));
    assert_eq!(config["admin"], format!("0.0.0.0:{}", port("admin")));
    let drain = number(&config["client"]["drain"]);
    assert!(number(&config["client"]["lame_duck"]) < drain);
    assert!(drain < number(&pod["terminationGracePeriodSeconds"]), "it drains before it is killed");

    let volumes = pod["volumes"].as_array().expect("volumes");
    for mount in container["volumeMounts"].as_array().expect("mounts") {
        assert!(volumes.iter().any(|volume| volume["name"] == mount["name"]), "{mount}");
    }
    let command = container["command"].as_array().expect("a command");
    assert_eq!(command[1..], ["-c", "/etc/firstbyte/config/firstbyte.yaml"]);
}

#[test]
fn firstbyte_takes_the_configuration_of_the_page_with_its_keys_from_files() {
    let all = manifests();
    let text = all["ConfigMap"]["data"]["firstbyte.yaml"].as_str().expect("a configuration");
    let folder = scratch();
    for (name, key) in all["Secret"]["stringData"].as_object().expect("keys") {
        fs::write(folder.join(name), key.as_str().expect("text")).expect("a file");
    }
    let mounted = "/etc/firstbyte/keys";
    assert!(text.contains(mounted), "the keys are where they are mounted");
    let file = folder.join("firstbyte.yaml");
    let text = text.replace(mounted, &folder.display().to_string());
    fs::write(&file, text).expect("a file");
    let (code, said, errors) = run(&["check", "-c", &file.display().to_string()]);
    assert_eq!((code, &*errors), (Some(0), ""));
    assert!(said.contains("/v1 → openai: https://api.openai.com/v1"), "{said}");
}
