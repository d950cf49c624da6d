//! Values under names of the operator's.

use serde_json::{Value, json};

use super::{Around, Kind};
use crate::config::file::fault::Complaint;

/// Of one kind: `headers: { x-team: search }`.
pub(in crate::config) struct ByName<K>(pub(in crate::config) K);

impl<K: Kind> Kind for ByName<K> {
    type Value = Vec<(String, K::Value)>;

    /// Only what stands on one line where names are expected comes here.
    fn read(&self, _: &str, _: &Around<'_>) -> Result<Self::Value, Complaint> {
        Err(Complaint::about_a_secret(
            "has no names",
            "write each as `NAME: VALUE`, indented below the key",
        ))
    }

    fn absent(&self) -> Self::Value {
        Vec::new()
    }

    fn name(&self) -> String {
        format!("names, each with: {}", self.0.name())
    }

    fn default_text(&self) -> Option<String> {
        None
    }

    fn schema(&self) -> Value {
        json!({ "type": "object", "minProperties": 1, "additionalProperties": self.0.schema() })
    }
}
