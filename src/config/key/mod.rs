//! What a key is: its name, the kind of its value, its sentence of documentation. The reader,
//! the JSON Schema and the reference all see keys through this face only.

pub(in crate::config) mod reader;
pub(in crate::config) mod reference;

use serde_json::{Map, Value, json};

use crate::config::kind::Kind;

/// Sections at the top level whose names begin so are the operator's own: a place for anchors, as in Compose.
pub(in crate::config) const IGNORED: &str = "x-";

/// One key of the file.
pub(in crate::config) struct Key<K> {
    pub(in crate::config) name: &'static str,
    pub(in crate::config) kind: K,
    pub(in crate::config) required: bool,
    pub(in crate::config) doc: &'static str,
}

impl<K> Key<K> {
    pub(in crate::config) const fn new(name: &'static str, kind: K, doc: &'static str) -> Self {
        Self { name, kind, required: false, doc }
    }

    pub(in crate::config) const fn required(
        name: &'static str,
        kind: K,
        doc: &'static str,
    ) -> Self {
        Self { name, kind, required: true, doc }
    }
}

/// How often a section may stand.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::config) enum Shape {
    /// Once: `client: { … }`.
    One,
    /// Under names that the operator chooses: `upstreams: { openai: { … } }`.
    Named,
    /// As items of a list: `routes: [ { … } ]`.
    List,
}

/// Keys that stand together.
pub(in crate::config) struct Section {
    pub(in crate::config) name: &'static str,
    pub(in crate::config) shape: Shape,
    pub(in crate::config) required: bool,
    pub(in crate::config) doc: &'static str,
    pub(in crate::config) entries: &'static [&'static dyn Entry],
}

/// One line of the reference.
pub(in crate::config) struct Row {
    pub(in crate::config) path: String,
    pub(in crate::config) kind: String,
    pub(in crate::config) default: String,
    pub(in crate::config) doc: &'static str,
}

/// A key or a section, as the table holds it.
pub(in crate::config) trait Entry: Sync {
    fn name(&self) -> &'static str;
    fn required(&self) -> bool;
    fn schema(&self) -> Value;
    /// Adds this entry, and what stands in it, to the reference.
    fn rows(&self, prefix: &str, rows: &mut Vec<Row>);
}

impl<K: Kind> Entry for Key<K> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn required(&self) -> bool {
        self.required
    }

    fn schema(&self) -> Value {
        let mut schema = self.kind.schema();
        if let Some(schema) = schema.as_object_mut() {
            let mut doc = self.doc.to_owned();
            if let Some(default) = self.kind.default_text() {
                doc = format!("{doc} Default: {default}.");
            }
            schema.insert("description".into(), doc.into());
        }
        schema
    }

    fn rows(&self, prefix: &str, rows: &mut Vec<Row>) {
        let default = match (self.required, self.kind.default_text()) {
            (true, _) => "required".to_owned(),
            (false, Some(default)) => format!("`{default}`"),
            (false, None) => "none".to_owned(),
        };
        let path = format!("{prefix}{}", self.name);
        rows.push(Row { path, kind: self.kind.name(), default, doc: self.doc });
    }
}

impl Section {
    /// The JSON Schema of one such section, whatever its shape. Nothing at all is a section too,
    /// where no key of it is required: all its lines may be comments.
    pub(in crate::config) fn schema_of_one(&self) -> Value {
        let mut properties = Map::new();
        for entry in self.entries {
            properties.insert(entry.name().into(), entry.schema());
        }
        let required: Vec<_> =
            self.entries.iter().filter(|e| e.required()).map(|e| e.name()).collect();
        let mut schema = Map::new();
        if required.is_empty() {
            schema.insert("type".into(), json!(["object", "null"]));
        } else {
            schema.insert("type".into(), json!("object"));
            schema.insert("required".into(), json!(required));
        }
        schema.insert("additionalProperties".into(), json!(false));
        schema.insert("properties".into(), Value::Object(properties));
        Value::Object(schema)
    }
}

impl Entry for Section {
    fn name(&self) -> &'static str {
        self.name
    }

    fn required(&self) -> bool {
        self.required
    }

    fn schema(&self) -> Value {
        let one = self.schema_of_one();
        let mut schema = match self.shape {
            Shape::One => one,
            Shape::Named => json!({
                "type": "object",
                "minProperties": 1,
                "propertyNames": { "pattern": "^[A-Za-z0-9_.-]{1,64}$" },
                "additionalProperties": one,
            }),
            Shape::List => json!({ "type": "array", "minItems": 1, "items": one }),
        };
        if let Some(schema) = schema.as_object_mut() {
            schema.insert("description".into(), self.doc.into());
        }
        schema
    }

    fn rows(&self, prefix: &str, rows: &mut Vec<Row>) {
        let (suffix, kind) = match self.shape {
            Shape::One => ("", "section"),
            Shape::Named => (".NAME", "sections by name"),
            Shape::List => ("[]", "list of sections"),
        };
        let path = format!("{prefix}{}", self.name);
        let default = if self.required { "required" } else { "" };
        let inside = format!("{path}{suffix}.");
        rows.push(Row { path, kind: kind.into(), default: default.into(), doc: self.doc });
        for entry in self.entries {
            entry.rows(&inside, rows);
        }
    }
}
