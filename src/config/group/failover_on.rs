//! `groups.NAME.failover_on`: which failures lead to the next upstream.

use serde_json::{Value, json};

use crate::config::file::fault::{Complaint, nearest};
use crate::config::key::Key;
use crate::config::key::reader::{Fields, Reader};
use crate::config::kind::many::Many;
use crate::config::kind::{Around, Kind};

/// The words of [`Triggers`] that are no statuses.
const WORDS: [&str; 5] = ["5xx", "head_timeout", "first_frame_timeout", "closed", "none"];

pub(super) static FAILOVER_ON: Key<Many<Trigger>> = Key::new(
    "failover_on",
    // The two statuses by which an upstream says that it did not do it (RFC 6585, section 4; RFC 9110,
    // section 15.6.4). Any other may come from a request that was processed, and billed.
    Many(Trigger { default: &[429, 503] }),
    "Statuses and failures that lead to a failover while nothing was sent to the client. A request \
     that provably was not processed (no connection, no free stream, refused, above the last \
     stream of a GOAWAY) always fails over. With anything but 429 and 503, one request may be \
     billed twice. `first_frame_timeout` delays each response head until the first frame.",
);

/// Which failures lead to the next upstream though the request may have been processed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Triggers {
    /// Statuses from 400 to 599, ascending.
    statuses: Vec<u16>,
    /// No answer's head in time.
    pub head_timeout: bool,
    /// No first frame in time. The answer's head is held back until that frame: once it has gone to the
    /// client, nobody else can answer.
    pub first_frame_timeout: bool,
    /// The stream or connection ended before anything of the answer went to the client.
    pub closed: bool,
}

impl Triggers {
    /// No answer's head in time.
    pub const HEAD_TIMEOUT: Self = Self::words(true, false, false);
    /// No first frame in time.
    pub const FIRST_FRAME_TIMEOUT: Self = Self::words(false, true, false);
    /// The stream or connection ended before the answer's head.
    pub const CLOSED: Self = Self::words(false, false, true);

    const fn words(head_timeout: bool, first_frame_timeout: bool, closed: bool) -> Self {
        Self { statuses: Vec::new(), head_timeout, first_frame_timeout, closed }
    }

    /// A list of triggers means all that any of them names.
    pub(super) fn read(reader: &mut Reader<'_>, group: &Fields<'_>) -> Self {
        let written = reader.get_many(group, &FAILOVER_ON);
        written.into_iter().fold(Self::default(), |all, (_, one)| all.and(one))
    }

    /// These statuses and nothing else.
    pub fn statuses(statuses: impl IntoIterator<Item = u16>) -> Self {
        let mut all: Vec<u16> = statuses.into_iter().collect();
        all.sort_unstable();
        all.dedup();
        Self { statuses: all, ..Self::default() }
    }

    /// What either of the two names.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            head_timeout: self.head_timeout || other.head_timeout,
            first_frame_timeout: self.first_frame_timeout || other.first_frame_timeout,
            closed: self.closed || other.closed,
            ..Self::statuses(self.statuses.into_iter().chain(other.statuses))
        }
    }

    /// Whether an answer of this status leads to the next upstream.
    pub fn has_status(&self, status: u16) -> bool {
        status >= 400 && self.statuses.binary_search(&status).is_ok()
    }
}

/// One word of a list of triggers; a list of them is their union.
pub(super) struct Trigger {
    default: &'static [u16],
}

impl Kind for Trigger {
    type Value = Triggers;

    fn read(&self, text: &str, _: &Around<'_>) -> Result<Triggers, Complaint> {
        match text {
            "5xx" => Ok(Triggers::statuses(500..600)),
            "head_timeout" => Ok(Triggers::HEAD_TIMEOUT),
            "first_frame_timeout" => Ok(Triggers::FIRST_FRAME_TIMEOUT),
            "closed" => Ok(Triggers::CLOSED),
            "none" => Ok(Triggers::default()),
            other => match other.parse() {
                Ok(status @ 400..=599) => Ok(Triggers::statuses([status])),
                _ => Err(unknown(other)),
            },
        }
    }

    fn absent(&self) -> Triggers {
        Triggers::statuses(self.default.iter().copied())
    }

    fn name(&self) -> String {
        "status from 400 to 599, `5xx`, `head_timeout`, `first_frame_timeout`, `closed` or `none`"
            .into()
    }

    fn default_text(&self) -> Option<String> {
        Some(format!("[{}]", show_triggers(&self.absent())))
    }

    fn schema(&self) -> Value {
        json!({ "anyOf": [
            { "type": "integer", "minimum": 400, "maximum": 599 },
            { "enum": WORDS },
            { "type": "string", "pattern": "^[45][0-9][0-9]$|\\$\\{" },
        ] })
    }
}

/// As it is written in the file.
pub(in crate::config) fn show_triggers(triggers: &Triggers) -> String {
    let mut words = Vec::new();
    let all_5xx = (500..600).all(|status| triggers.has_status(status));
    for status in &triggers.statuses {
        if !(all_5xx && *status >= 500) {
            words.push(status.to_string());
        }
    }
    let flags = [
        (all_5xx, WORDS[0]),
        (triggers.head_timeout, WORDS[1]),
        (triggers.first_frame_timeout, WORDS[2]),
        (triggers.closed, WORDS[3]),
    ];
    words.extend(flags.into_iter().filter(|(set, _)| *set).map(|(_, word)| word.to_owned()));
    if words.is_empty() { WORDS[4].to_owned() } else { words.join(", ") }
}

fn unknown(text: &str) -> Complaint {
    let known = format!("a status from 400 to 599, {}", WORDS.join(", "));
    let hint = match nearest(&text.to_ascii_lowercase(), WORDS) {
        Some(word) => format!("did you mean {word}? Allowed: {known}"),
        None => format!("write {known}"),
    };
    Complaint::new("is not a status or failure that can lead to a failover", hint)
}
