//! Who decides what a request is answered.

use std::sync::Arc;

use crate::upstream::openai::Standard;
use crate::upstream::script::Script;
use crate::upstream::script::seen::Seen;

/// Decides per request.
pub(in crate::upstream) type Decide = Arc<dyn Fn(&Seen) -> Script + Send + Sync>;

/// Where scripts come from.
pub(in crate::upstream) enum Answers {
    /// A plausible OpenAI.
    Standard(Standard),
    /// The same for everyone.
    Fixed(Script),
    /// Decided when the body has arrived.
    AtEnd(Decide),
    /// Decided when the head has arrived.
    AtHead(Decide),
}

impl Answers {
    /// The script, if it can be known before the body has been read.
    pub(in crate::upstream) fn at_head(&self, seen: &Seen) -> Option<Script> {
        match self {
            Self::Standard(standard) => standard.at_head(seen),
            Self::Fixed(script) => script.begins_at_head().then(|| script.clone()),
            Self::AtEnd(_) => None,
            Self::AtHead(decide) => Some(decide(seen)),
        }
    }

    /// The script, for requests that were read first.
    pub(in crate::upstream) fn at_end(&self, seen: &Seen) -> Script {
        match self {
            Self::Standard(standard) => standard.answer(seen),
            Self::Fixed(script) => script.clone(),
            Self::AtEnd(decide) | Self::AtHead(decide) => decide(seen),
        }
    }
}
