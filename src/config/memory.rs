//! The value of `limits.memory`.

use serde_json::{Value, json};

use super::MemoryLimit;
use super::defaults as d;
use super::file::fault::Complaint;
use super::kind::quantity::{Size, show_size};
use super::kind::{Around, Kind};

/// `auto`, `off` or a size.
pub(super) struct Memory;

/// Less than twice what the proxy takes at rest sheds all the time; more than a pebibyte is a slip.
const SIZE: Size<u64> = Size { default: 0, within: (16 << 20)..=(1 << 50) };

impl Kind for Memory {
    type Value = MemoryLimit;

    fn read(&self, text: &str, around: &Around<'_>) -> Result<MemoryLimit, Complaint> {
        match text {
            "auto" => Ok(MemoryLimit::Auto),
            "off" => Ok(MemoryLimit::Off),
            size => SIZE.read(size, around).map(MemoryLimit::Bytes),
        }
    }

    fn absent(&self) -> MemoryLimit {
        d::MEMORY
    }

    fn name(&self) -> String {
        format!("`auto`, `off`, {}", SIZE.name())
    }

    fn default_text(&self) -> Option<String> {
        Some(show_memory(d::MEMORY))
    }

    fn schema(&self) -> Value {
        let (least, most) = (SIZE.within.start(), SIZE.within.end());
        json!({ "anyOf": [
            { "type": "integer", "minimum": least, "maximum": most },
            { "type": "string", "pattern": "^(auto|off)$|^[0-9]+(KiB|MiB|GiB)?$|\\$\\{" },
        ] })
    }
}

/// As it is written in the file.
pub(super) fn show_memory(limit: MemoryLimit) -> String {
    match limit {
        MemoryLimit::Off => "off".into(),
        MemoryLimit::Auto => "auto".into(),
        MemoryLimit::Bytes(bytes) => show_size(bytes),
    }
}
