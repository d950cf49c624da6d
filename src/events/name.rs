//! Names under which events are published.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

/// Longest name, in bytes.
const LONGEST: usize = 128;

/// A name of 1 to 128 letters, digits and `.` `_` `~` `:` `-`. It stands in paths as it is: none of these is ever
/// percent-encoded.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name(Arc<str>);

impl Name {
    /// `None` where the text is no name. Nothing is decoded: `%` is no part of a name.
    pub fn parse(text: &str) -> Option<Self> {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"._~:-".contains(&byte);
        let fits = (1..=LONGEST).contains(&text.len()) && text.bytes().all(fits);
        // Clients resolve these before they send a path.
        let is_name = fits && text != "." && text != "..";
        is_name.then(|| Self(text.into()))
    }

    /// As it stands in a path.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for Name {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_of_unreserved_characters_and_colons_and_bounded() {
        let longest = "x".repeat(128);
        for name in ["a", "news", "team:42", "A.b_c~d-e", "...", &longest] {
            assert_eq!(Name::parse(name).unwrap().as_str(), name);
        }
        let too_long = "x".repeat(129);
        for other in
            ["", ".", "..", "a/b", "a%20b", "%61", "a b", "é", "a\r\nb", "a\0", "a?b", &too_long]
        {
            assert_eq!(Name::parse(other), None, "{other:?}");
        }
    }
}
