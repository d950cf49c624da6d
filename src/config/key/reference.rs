//! What the key table says to others: to editors a JSON Schema, to people a table.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use super::{IGNORED, Row, Section};

/// The JSON Schema (draft 2020-12) of the configuration file, as shipped in
/// `docs/firstbyte.schema.json`; ends with a line break.
pub(in crate::config) fn json_schema(root: &Section) -> String {
    let mut schema = Map::new();
    schema.insert("$schema".into(), json!("https://json-schema.org/draft/2020-12/schema"));
    schema.insert("title".into(), json!("firstbyte.yaml"));
    schema.insert("description".into(), json!(root.doc));
    if let Value::Object(keys) = root.schema_of_one() {
        schema.extend(keys);
    }
    // The operator's own, for anchors; what stands there is not ours to judge.
    schema.insert("patternProperties".into(), json!({ format!("^{IGNORED}"): {} }));
    format!("{:#}\n", Value::Object(schema))
}

/// The table of `docs/configuration.md` in Markdown, one row for each key, in the order of the
/// file; ends with a line break.
pub(in crate::config) fn key_table(root: &Section) -> String {
    let mut text = String::from("| key | value | default | what it does |\n|---|---|---|---|\n");
    for row in rows(root) {
        let _ = writeln!(text, "| `{}` | {} | {} | {} |", row.path, row.kind, row.default, row.doc);
    }
    text
}

/// Every key and section of the table.
pub(in crate::config) fn rows(root: &Section) -> Vec<Row> {
    let mut rows = Vec::new();
    for entry in root.entries {
        entry.rows("", &mut rows);
    }
    rows
}
