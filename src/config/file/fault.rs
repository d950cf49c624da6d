//! What is wrong with a configuration: every fault at once, each with its place and a way out.

use std::fmt;

use super::bounds::MOST_CANDIDATES;

/// A place in the file, both counted from 1; columns count characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct At {
    /// Line.
    pub line: usize,
    /// Column.
    pub column: usize,
}

/// Where a fault was found.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// The file as a whole: not readable, not text, too large.
    File(String),
    /// A line and column of the file.
    In(String, At),
    /// An environment variable, in the mode without a file.
    Variable(String),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(file) => write!(f, "{file}"),
            Self::In(file, at) => write!(f, "{file}:{}:{}", at.line, at.column),
            Self::Variable(name) => write!(f, "{name}"),
        }
    }
}

/// One thing that is wrong. Never holds the text of a secret, nor a variable's value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Where.
    pub place: Place,
    /// The key's dotted path, such as `upstreams.openai.pool.max_age`; empty at the root.
    pub key: String,
    /// What is wrong, as a sentence without its full stop.
    pub what: String,
    /// What to do about it; may be empty.
    pub hint: String,
}

impl fmt::Display for Fault {
    /// `file:line:column: key: what; hint`, always one line, so that editors can jump to it and a
    /// file can't write lines of its own into a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = if self.key.is_empty() { String::new() } else { format!("{}: ", self.key) };
        let hint = if self.hint.is_empty() { String::new() } else { format!("; {}", self.hint) };
        for c in format!("{}: {key}{}{hint}", self.place, self.what).chars() {
            if c.is_control() {
                write!(f, "{}", c.escape_default())?;
            } else {
                write!(f, "{c}")?;
            }
        }
        Ok(())
    }
}

/// All faults of a configuration, in the order of the file; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Faults(Vec<Fault>);

impl Faults {
    /// `value` where nothing was found, otherwise everything that was.
    pub(in crate::config) fn or<T>(mut faults: Vec<Fault>, value: Option<T>) -> Result<T, Self> {
        faults.sort_by(|a, b| a.place.cmp(&b.place));
        match value {
            Some(value) if faults.is_empty() => Ok(value),
            _ => Err(Self(faults)),
        }
    }

    /// This one and no other.
    pub(in crate::config) fn one(fault: Fault) -> Self {
        Self(vec![fault])
    }

    /// One after the other, in the order of the file.
    pub fn iter(&self) -> std::slice::Iter<'_, Fault> {
        self.0.iter()
    }
}

impl<'a> IntoIterator for &'a Faults {
    type Item = &'a Fault;
    type IntoIter = std::slice::Iter<'a, Fault>;
    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl fmt::Display for Faults {
    /// One line for each fault, without a line break at the end.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (nth, fault) in self.0.iter().enumerate() {
            let separator = if nth == 0 { "" } else { "\n" };
            write!(f, "{separator}{fault}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Faults {}

/// What one value is accused of, before it is known where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::config) struct Complaint {
    /// A predicate that follows the quoted value: `is not a duration`.
    pub(in crate::config) what: String,
    /// What to write instead; may be empty.
    pub(in crate::config) hint: String,
    /// Whether the value as written may be quoted; not where it holds a secret.
    pub(in crate::config) quotable: bool,
}

impl Complaint {
    pub(in crate::config) fn new(what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { what: what.into(), hint: hint.into(), quotable: true }
    }

    /// A complaint about a value that must not be shown.
    pub(in crate::config) fn about_a_secret(
        what: impl Into<String>,
        hint: impl Into<String>,
    ) -> Self {
        Self { quotable: false, ..Self::new(what, hint) }
    }
}

/// An operator's name may have so many bytes.
const LONGEST_WORD: usize = 64;

/// Below this likeness a suggestion would puzzle more than it helps.
const LIKE_ENOUGH: f64 = 0.5;

/// The known word that was most likely meant, of the first [`MOST_CANDIDATES`]. The comparison's cost is
/// the product of both lengths: what is longer than any word of ours is like none.
pub(in crate::config) fn nearest<'a>(
    word: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let short = |text: &str| text.len() <= LONGEST_WORD;
    let known = known.into_iter().take(MOST_CANDIDATES).filter(|candidate| short(candidate));
    known
        .filter(|_| short(word))
        .map(|candidate| (strsim::normalized_damerau_levenshtein(word, candidate), candidate))
        .filter(|(likeness, _)| *likeness > LIKE_ENOUGH)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, candidate)| candidate)
}
