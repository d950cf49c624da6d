//! `groups.NAME.pick`: who of a tier is asked first.

use http::HeaderName;
use serde_json::{Value, json};

use crate::config::file::fault::{Complaint, nearest};
use crate::config::key::Key;
use crate::config::kind::{Around, Kind};

pub(super) static PICK: Key<PickBy> = Key::new(
    "pick",
    PickBy,
    "How a member of a tier is selected. `weighted`: by weight. `least_loaded`: the fewest \
     requests in flight on this worker relative to its weight. `sticky:HEADER`: always the same \
     member for the same value of that request header (`sticky:authorization`: by the client's \
     key).",
);

/// Who of a tier is asked first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pick {
    /// Each gets its weight's share.
    Weighted,
    /// The one with the fewest requests under way for its weight.
    LeastLoaded,
    /// The same one for the same value of this request header; by weight where it is missing.
    Sticky(HeaderName),
}

/// `weighted`, `least_loaded` or `sticky:HEADER`.
pub(super) struct PickBy;

impl Kind for PickBy {
    type Value = Pick;

    fn read(&self, text: &str, _: &Around<'_>) -> Result<Pick, Complaint> {
        match (text, text.strip_prefix("sticky:")) {
            ("weighted", _) => Ok(Pick::Weighted),
            ("least_loaded", _) => Ok(Pick::LeastLoaded),
            (_, Some(header)) => HeaderName::try_from(header).map(Pick::Sticky).map_err(|_| {
                let hint = "write it like sticky:x-session-id, or sticky:authorization";
                Complaint::new("is not followed by a header name", hint)
            }),
            (other, None) => {
                let hint = match nearest(other, ["weighted", "least_loaded", "sticky"]) {
                    Some("sticky") => "name a header: sticky:authorization".to_owned(),
                    Some(word) => format!("did you mean {word}?"),
                    None => "write weighted, least_loaded or sticky:HEADER".to_owned(),
                };
                Err(Complaint::new("is not a way to select a member", hint))
            }
        }
    }

    fn absent(&self) -> Pick {
        Pick::Weighted
    }

    fn name(&self) -> String {
        "`weighted`, `least_loaded`, `sticky:HEADER`".into()
    }

    fn default_text(&self) -> Option<String> {
        Some(show_pick(&self.absent()))
    }

    fn schema(&self) -> Value {
        json!({ "type": "string", "pattern": "^(weighted|least_loaded|sticky:.+)$|\\$\\{" })
    }
}

/// As it is written in the file.
pub(in crate::config) fn show_pick(pick: &Pick) -> String {
    match pick {
        Pick::Weighted => "weighted".into(),
        Pick::LeastLoaded => "least_loaded".into(),
        Pick::Sticky(header) => format!("sticky:{header}"),
    }
}
