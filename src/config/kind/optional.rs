//! A value that there may be none of: then nothing is bounded, or somebody else's holds.

use serde_json::Value;

use super::{Around, Kind};
use crate::config::file::fault::Complaint;

/// Of any kind; the kind's own default is never asked for.
pub(in crate::config) struct Optional<K>(pub(in crate::config) K);

impl<K: Kind> Kind for Optional<K> {
    type Value = Option<K::Value>;

    fn read(&self, text: &str, around: &Around<'_>) -> Result<Option<K::Value>, Complaint> {
        self.0.read(text, around).map(Some)
    }

    fn absent(&self) -> Option<K::Value> {
        None
    }

    fn name(&self) -> String {
        self.0.name()
    }

    fn default_text(&self) -> Option<String> {
        None
    }

    fn schema(&self) -> Value {
        self.0.schema()
    }
}
