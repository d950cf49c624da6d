//! `publish` and `subscribe` of a client: which names of events are for it.

use serde_json::{Value, json};

use crate::config::file::fault::Complaint;
use crate::config::key::Key;
use crate::config::key::reader::{Fields, Reader};
use crate::config::kind::many::Many;
use crate::config::kind::{Around, Kind};
use crate::config::models::Glob;

pub(super) static PUBLISH: Key<Many<NamePattern>> = Key::new(
    "publish",
    Many(NamePattern),
    "Names of events that the client may publish to, `*` standing for any text; requests for others are \
     rejected with 403. Without it none.",
);

pub(super) static SUBSCRIBE: Key<Many<NamePattern>> = Key::new(
    "subscribe",
    Many(NamePattern),
    "Names of events that the client may subscribe to, `*` standing for any text; requests for others are \
     rejected with 403. Without it none.",
);

/// What a client may do with named events.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EventRights {
    /// Names that it may publish to.
    pub publish: Vec<Glob>,
    /// Names that it may subscribe to.
    pub subscribe: Vec<Glob>,
}

impl EventRights {
    pub(super) fn read(reader: &mut Reader<'_>, client: &Fields<'_>) -> Self {
        let mut of = |key: &'static Key<Many<NamePattern>>| -> Vec<Glob> {
            reader.get_many(client, key).into_iter().filter_map(|(_, glob)| glob).collect()
        };
        Self { publish: of(&PUBLISH), subscribe: of(&SUBSCRIBE) }
    }
}

/// A pattern over names of events.
pub(super) struct NamePattern;

impl Kind for NamePattern {
    type Value = Option<Glob>;

    fn read(&self, text: &str, _: &Around<'_>) -> Result<Option<Glob>, Complaint> {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"._~:-*".contains(&byte);
        let glob = Glob::new(text).filter(|_| text.bytes().all(fits));
        glob.map(Some).ok_or_else(|| {
            let hint = "write a name of letters, digits and . _ ~ : -, or a beginning with a star such as team:*";
            Complaint::new("is not a pattern of names of events", hint)
        })
    }

    fn absent(&self) -> Option<Glob> {
        None
    }

    fn name(&self) -> String {
        "name of events, `*` for any text".into()
    }

    fn default_text(&self) -> Option<String> {
        None
    }

    fn schema(&self) -> Value {
        json!({ "type": "string", "minLength": 1, "maxLength": 128 })
    }
}
