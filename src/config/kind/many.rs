//! A value, or a list of them.

use serde_json::{Value, json};

use super::{Around, Kind};
use crate::config::file::fault::Complaint;

/// Of one kind.
pub(in crate::config) struct Many<K>(pub(in crate::config) K);

impl<K: Kind> Kind for Many<K> {
    type Value = Vec<K::Value>;

    fn read(&self, text: &str, around: &Around<'_>) -> Result<Vec<K::Value>, Complaint> {
        Ok(vec![self.0.read(text, around)?])
    }

    fn absent(&self) -> Vec<K::Value> {
        vec![self.0.absent()]
    }

    fn name(&self) -> String {
        format!("{}, or a list of them", self.0.name())
    }

    fn default_text(&self) -> Option<String> {
        self.0.default_text()
    }

    fn schema(&self) -> Value {
        let one = self.0.schema();
        json!({ "anyOf": [one, { "type": "array", "minItems": 1, "items": one }] })
    }
}
