//! The files in `docs/` are what the key table says. `UPDATE=1 cargo test shipped` writes them.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::World;
use crate::config::file::yaml::{self, Data, Node};
use crate::config::key::reference;
use crate::config::root::ROOT;
use crate::config::{Config, GroupId, Target, from_env, json_schema, key_table};

const BEGIN: &str = "<!-- keys: made by `UPDATE=1 cargo test shipped` -->\n";
const END: &str = "<!-- end of keys -->\n";

fn docs(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(name)
}

#[track_caller]
fn assert_shipped(name: &str, shipped: &str, made: &str) {
    if std::env::var_os("UPDATE").is_some() {
        fs::write(docs(name), made).unwrap();
    } else {
        assert!(shipped == made, "docs/{name} is not what the key table says: UPDATE=1 writes it");
    }
}

fn example() -> String {
    fs::read_to_string(docs("firstbyte.example.yaml")).unwrap()
}

/// The example with the keys that it leaves out, which begin with `#` without a space.
fn example_in_full() -> String {
    let line = |line: &str| match line.split_once('#') {
        Some((indent, key)) if indent.trim().is_empty() && is_key(key) => {
            format!("{indent}{key}\n")
        }
        _ => format!("{line}\n"),
    };
    example().lines().map(line).collect()
}

/// Or an item of a list, which begins with one.
fn is_key(text: &str) -> bool {
    text.strip_prefix("- ").unwrap_or(text).starts_with(char::is_alphabetic)
}

fn world() -> World {
    let (certificate, key) = super::clients::door::pair("chat.example");
    World::default()
        .var("OPENAI_API_KEY", "k")
        .var("APP_A_KEY", "fb-a-key-of-thirty-two-characters")
        .var("FIRSTBYTE_ADMIN_TOKEN", "t")
        .var("FIRSTBYTE_SALT", "0123456789abcdef")
        .var("REDIS_PASSWORD", "p")
        .file("/etc/ssl/redis-ca.pem", certificate.clone())
        .file("/run/secrets/redis.pem", certificate.clone())
        .file("/run/secrets/redis.key", key.clone())
        .file("/etc/ssl/certs/company-ca.pem", "pem")
        .file("/run/secrets/client.pem", "pem")
        .file("/run/secrets/client.key", "pem")
        .file("/etc/ssl/chat.example/fullchain.pem", certificate.clone())
        .file("/etc/ssl/chat.example/privkey.pem", key)
        .file("/etc/ssl/certs/clients-ca.pem", certificate)
}

#[test]
fn the_schema_shipped_is_the_one_the_binary_prints() {
    let shipped = fs::read_to_string(docs("firstbyte.schema.json")).unwrap_or_default();
    assert_shipped("firstbyte.schema.json", &shipped, &json_schema());
}

#[test]
fn the_reference_shipped_is_the_key_table() {
    let shipped = fs::read_to_string(docs("configuration.md")).unwrap();
    let (before, rest) = shipped.split_once(BEGIN).unwrap();
    let (_, after) = rest.split_once(END).unwrap();
    let made = format!("{before}{BEGIN}\n{}\n{END}{after}", key_table());
    assert_shipped("configuration.md", &shipped, &made);
}

#[test]
fn the_example_shipped_is_the_default_beside_a_second_upstream_and_a_group() {
    let mut config: Config = world().read(&example()).unwrap();
    let local = config.upstreams.pop().unwrap();
    let to_any = config.routes.pop().unwrap();
    let to_local = config.routes.pop().unwrap();
    let any = config.groups.pop().unwrap();
    assert_eq!((&*to_any.path, to_any.target), ("/any/v1", Target::Group(GroupId(0))));
    let least = world().read(
        "upstreams: { a: { url: http://a }, b: { url: http://b } }\n\
         groups: { any: { members: [{ upstream: a }, { upstream: b, tier: 1 }] } }\n\
         routes: [{ path: /, upstream: any }]",
    );
    assert_eq!(format!("{any:?}"), format!("{:?}", least.unwrap().groups[0]), "all defaults");
    assert_eq!((&*local.host, local.port, &*local.base_path), ("127.0.0.1", 8000, "/v1"));
    assert_eq!(to_local.path, "/local/v1");
    assert_eq!(format!("{config:#?}"), format!("{:#?}", from_env(&world()).unwrap()));
}

#[test]
fn the_example_s_left_out_keys_can_be_put_in() {
    let config = world().read(&example_in_full()).unwrap();
    assert_eq!(config.upstreams[0].organization.as_deref(), Some("org-example"));
    assert!(config.upstreams[0].ca_file.is_some());
}

#[test]
fn the_example_the_schema_and_the_table_know_the_same_keys() {
    let root = yaml::parse(&example_in_full(), &mut Vec::new()).unwrap();
    let (mut in_example, mut in_schema) = (BTreeSet::new(), BTreeSet::new());
    keys_of_tree(&root, "", &mut in_example);
    keys_of_schema(&serde_json::from_str(&json_schema()).unwrap(), "", &mut in_schema);
    let in_table: BTreeSet<_> = reference::rows(&ROOT).into_iter().map(|row| row.path).collect();
    assert_eq!(in_example, in_table);
    assert_eq!(in_schema, in_table);
}

/// Dotted paths in the table's spelling: what stands under `upstreams` and `groups` is `NAME`.
fn keys_of_tree(node: &Node, path: &str, keys: &mut BTreeSet<String>) {
    match &node.data {
        Data::Map(entries) => {
            for (name, value) in entries {
                if ["upstreams.NAME.headers", "upstreams.NAME.query", "routes[].models"]
                    .contains(&path)
                {
                    continue; // names of the operator's, with values that are no keys
                }
                let named = ["upstreams", "groups", "client_groups"].contains(&path);
                let name = if named { "NAME" } else { &name.text };
                let inside =
                    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
                if name != "NAME" {
                    keys.insert(inside.clone());
                }
                keys_of_tree(value, &inside, keys);
            }
        }
        Data::List(items) => {
            for item in items {
                keys_of_tree(item, &format!("{path}[]"), keys);
            }
        }
        Data::Text(_) | Data::Nothing => {}
    }
}

fn keys_of_schema(schema: &Value, path: &str, keys: &mut BTreeSet<String>) {
    if let Some(properties) = schema["properties"].as_object() {
        for (name, schema) in properties {
            let inside = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            keys.insert(inside.clone());
            keys_of_schema(schema, &inside, keys);
        }
    }
    if schema["additionalProperties"].is_object() {
        keys_of_schema(&schema["additionalProperties"], &format!("{path}.NAME"), keys);
    }
    if schema["items"].is_object() {
        keys_of_schema(&schema["items"], &format!("{path}[]"), keys);
    }
}
