//! A pattern over the names of models.

use serde_json::{Value, json};

use crate::config::file::fault::Complaint;
use crate::config::kind::{Around, Kind};

/// Longest pattern; it stands in metrics.
const LONGEST: usize = 128;

/// `*` stands for any text, also none; all else for itself, in its case.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Glob(String);

impl Glob {
    /// `None` where the text is no pattern.
    pub fn new(text: &str) -> Option<Self> {
        check(text).ok().map(|()| Self(text.to_owned()))
    }

    /// As it was written.
    pub fn text(&self) -> &str {
        &self.0
    }

    /// It matches every name.
    pub fn is_any(&self) -> bool {
        !self.0.is_empty() && self.0.bytes().all(|byte| byte == b'*')
    }

    /// Whether it matches all of a name. Greedy from both ends: each literal part is looked for once.
    pub fn matches(&self, name: &str) -> bool {
        let Some((first, rest)) = self.0.split_once('*') else { return self.0 == name };
        let Some(mut name) = name.strip_prefix(first) else { return false };
        let (middle, last) = rest.rsplit_once('*').unwrap_or(("", rest));
        for part in middle.split('*') {
            let Some(at) = name.find(part) else { return false };
            name = &name[at + part.len()..];
        }
        name.ends_with(last)
    }

    /// Bytes that stand for themselves: of two patterns that match, the one with more says more.
    pub(super) fn literal(&self) -> usize {
        self.0.bytes().filter(|byte| *byte != b'*').count()
    }

    /// The number of the pattern that says most of those that match; of equal ones the first.
    pub fn best<'a>(all: impl Iterator<Item = &'a Self>, name: &str) -> Option<usize> {
        let matching = all.enumerate().filter(|(_, glob)| glob.matches(name));
        // The last of equal ones is the greatest.
        matching.max_by_key(|(nth, glob)| (glob.literal(), usize::MAX - nth)).map(|(nth, _)| nth)
    }
}

/// Such a pattern.
pub(in crate::config) struct GlobText;

impl Kind for GlobText {
    type Value = Glob;

    fn read(&self, text: &str, _: &Around<'_>) -> Result<Glob, Complaint> {
        check(text)?;
        Ok(Glob(text.to_owned()))
    }

    fn absent(&self) -> Glob {
        Glob(String::new())
    }

    fn name(&self) -> String {
        "name of a model, `*` for any text".into()
    }

    fn default_text(&self) -> Option<String> {
        None
    }

    fn schema(&self) -> Value {
        json!({ "type": "string", "minLength": 1, "maxLength": LONGEST })
    }
}

fn check(text: &str) -> Result<(), Complaint> {
    let is_name = text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\');
    if text.is_empty() || text.len() > LONGEST || !is_name {
        let hint = "write a model's name, or a beginning with a star such as gpt-4o*";
        return Err(Complaint::new("is not a pattern of names of models", hint));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn glob(text: &str) -> Glob {
        Glob(text.to_owned())
    }

    #[test]
    fn a_star_stands_for_any_text_and_for_none() {
        for (pattern, name) in [
            ("gpt-4o", "gpt-4o"),
            ("gpt-4o*", "gpt-4o"),
            ("gpt-4o*", "gpt-4o-mini"),
            ("*", ""),
            ("*", "anything"),
            ("*-mini", "gpt-4o-mini"),
            ("a*b*c", "abc"),
            ("a*b*c", "a-b-b-c"),
            ("**", "x"),
            ("*/llama-*-instruct", "meta/llama-3-8b-instruct"),
        ] {
            assert!(glob(pattern).matches(name), "{pattern} {name}");
        }
        for (pattern, name) in [
            ("gpt-4o", "gpt-4o-mini"),
            ("gpt-4o*", "GPT-4o"),
            ("a*a", "a"),
            ("ab*bc", "abc"),
            ("a*b*c", "acb"),
            ("*-mini", "mini"),
            ("", "x"),
        ] {
            assert!(!glob(pattern).matches(name), "{pattern} {name}");
        }
    }

    #[test]
    fn the_pattern_that_says_most_decides_and_of_equal_ones_the_first() {
        let all = ["*", "gpt-*", "gpt-4o*", "*-mini", "gpt-4*", "gpt*4"].map(glob);
        let best = |name| Glob::best(all.iter(), name).map(|nth| all[nth].text());
        assert_eq!(best("gpt-4o-mini"), Some("gpt-4o*"));
        assert_eq!(best("llama-mini"), Some("*-mini"));
        assert_eq!(best("gpt-5"), Some("gpt-*"));
        assert_eq!(best("other"), Some("*"));
        assert_eq!(Glob::best(all[1..2].iter(), "x"), None);
        assert_eq!(Glob::best([glob("a*"), glob("*a")].iter(), "aa"), Some(0));
    }
}
