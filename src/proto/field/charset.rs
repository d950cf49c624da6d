//! In which character set a body's text stands, as its content-type says.

use super::Fault;

pub(super) const OTHER: Fault = "The request names a charset other than UTF-8, and its model could be read otherwise; send it as \
    UTF-8.";
const NOT_ASCII: Fault = "The request's model has characters that its charset writes otherwise than UTF-8; send it as UTF-8.";

/// Sets of which ASCII is a part, and what is beyond it differs from UTF-8. Java's clients name the first of them where
/// nobody told them another.
const WITH_ASCII: [&str; 5] = ["iso-8859-1", "us-ascii", "ascii", "latin1", "windows-1252"];

/// What a text's bytes mean.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Charset {
    /// What all of them are in UTF-8. So are those of a text that names none.
    #[default]
    Utf8,
    /// What they are in UTF-8 as long as they are ASCII.
    Ascii,
}

impl Charset {
    /// As a content-type has it. Each place where the word stands counts: what is a parameter, and which of two is taken,
    /// servers see differently.
    ///
    /// # Errors
    /// It names one in which ASCII may mean something else, or in a way that has more than one reading.
    pub(super) fn of(content_type: &str) -> Result<Self, Fault> {
        let lower = content_type.to_ascii_lowercase();
        let mut all = Self::Utf8;
        for behind in lower.split("charset").skip(1) {
            let value = behind.trim_start().strip_prefix('=').ok_or(OTHER)?.trim_start();
            let value = value.split([';', ',', ' ', '\t']).next().unwrap_or_default();
            let bare = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
            let one = match bare.unwrap_or(value) {
                "utf-8" | "utf8" => Self::Utf8,
                name if WITH_ASCII.contains(&name) => Self::Ascii,
                _ => return Err(OTHER),
            };
            all = all.max(one);
        }
        Ok(all)
    }

    /// Whether these bytes mean what they do in UTF-8.
    ///
    /// # Errors
    /// They may not.
    pub(super) fn takes(self, bytes: &[u8]) -> Result<(), Fault> {
        if self == Self::Utf8 || bytes.is_ascii() { Ok(()) } else { Err(NOT_ASCII) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_charset_is_utf_8_or_one_of_which_ascii_is_a_part() {
        for (text, expected) in [
            ("", Charset::Utf8),
            ("application/json", Charset::Utf8),
            ("application/json; utf-8", Charset::Utf8),
            ("application/json;charset=UTF-8", Charset::Utf8),
            ("application/json; Charset = \"utf8\" ; a=b", Charset::Utf8),
            ("text/plain; charset=ISO-8859-1", Charset::Ascii),
            ("text/plain; charset=us-ascii; charset=utf-8", Charset::Ascii),
        ] {
            assert_eq!(Charset::of(text), Ok(expected), "{text}");
        }
        for text in [
            "application/json; charset=utf-16",
            "application/json; charset=utf-7",
            "application/json; charset=utf-8; charset=utf-16le",
            "application/json; charset=utf-8, charset=utf-16le",
            "application/json; x=\"; charset=utf-16\"",
            "application/json; charset*=utf-8''utf-16",
            "application/json; charset=\"utf-8\"6",
            "application/json; charset",
            "application/json; charset=",
            "application/json; charset=ibm037",
        ] {
            assert_eq!(Charset::of(text), Err(OTHER), "{text}");
        }
    }
}
