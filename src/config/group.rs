//! Groups of upstreams: what they mean, and the two kinds of value that only they have.

use std::time::Duration;

use http::HeaderName;
use serde_json::{Value, json};

use super::UpstreamId;
use super::file::fault::{Complaint, nearest};
use super::kind::{Around, Kind};

/// Members of one group at most: which were asked is one bit each.
pub const MOST_MEMBERS: usize = 64;

/// Upstreams that stand in for each other.
#[derive(Debug, Clone)]
pub struct Group {
    /// The operator's name for it.
    pub name: String,
    /// Who can answer; at least one, [`MOST_MEMBERS`] at most, no upstream twice.
    pub members: Vec<Member>,
    /// Who is asked first.
    pub pick: Pick,
    /// After which failures the next one is asked, beyond those that prove that nothing was processed.
    pub failover_on: Triggers,
    /// Whether members are asked again once all of them failed.
    pub retry: Retry,
    /// Whether a second member is asked beside one that is late.
    pub hedge: Option<Hedge>,
    /// What happens while every member is ejected.
    pub when_all_ejected: WhenEjected,
}

/// Asking a second member while the first has not answered; the first answer counts, and the other
/// request is cancelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hedge {
    /// How many of a hundred answers come sooner than a hedge is sent; 1 to 99.
    pub quantile: u32,
    /// A hedge is not sent before this time.
    pub floor: Duration,
    /// A hedge is sent by this time at the latest, and at this time while too few answers are known.
    pub ceiling: Duration,
    /// Hedges for each hundred requests.
    pub budget: u32,
}

/// What happens to requests while every member of a group is ejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhenEjected {
    /// They are sent as if none were: a member that is ill may still answer some.
    Ask,
    /// They are told at once.
    Refuse,
}

/// Asking again those that failed; each time after a pause, and never beyond the budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retry {
    /// How often at most; 0 for never.
    pub times: u32,
    /// The first pause at most; it doubles each time.
    pub pause: Duration,
    /// Any pause at most. Who asks to be left alone for longer is not asked again.
    pub longest_pause: Duration,
    /// Retries for each hundred requests.
    pub budget: u32,
}

/// One upstream's place in a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Member {
    /// The upstream.
    pub upstream: UpstreamId,
    /// Its share of the tier's requests, beside the others' weights; 0 takes none at all.
    pub weight: u32,
    /// Lower tiers are asked first; a higher one only when no lower one is left.
    pub tier: u32,
}

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

/// The words of [`Triggers`] that are no statuses.
const WORDS: [&str; 5] = ["5xx", "head_timeout", "first_frame_timeout", "closed", "none"];

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

/// As it is written in the file.
pub(super) fn show_triggers(triggers: &Triggers) -> String {
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

/// One word of a list of triggers; a list of them is their union.
pub(super) struct Trigger {
    pub(super) default: &'static [u16],
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

fn unknown(text: &str) -> Complaint {
    let known = format!("a status from 400 to 599, {}", WORDS.join(", "));
    let hint = match nearest(&text.to_ascii_lowercase(), WORDS) {
        Some(word) => format!("did you mean {word}? Known: {known}"),
        None => format!("write {known}"),
    };
    Complaint::new("is no reason to ask the next upstream", hint)
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
                Complaint::new("does not name a header", hint)
            }),
            (other, None) => {
                let hint = match nearest(other, ["weighted", "least_loaded", "sticky"]) {
                    Some("sticky") => "name a header: sticky:authorization".to_owned(),
                    Some(word) => format!("did you mean {word}?"),
                    None => "write weighted, least_loaded or sticky:HEADER".to_owned(),
                };
                Err(Complaint::new("is no way to pick", hint))
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
pub(super) fn show_pick(pick: &Pick) -> String {
    match pick {
        Pick::Weighted => "weighted".into(),
        Pick::LeastLoaded => "least_loaded".into(),
        Pick::Sticky(header) => format!("sticky:{header}"),
    }
}
