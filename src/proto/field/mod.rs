//! One named field of a request's body, found while the body arrives: the `model` of a JSON object, or of
//! multipart/form-data.
//!
//! A scan is fed the bytes as they come, in whatever pieces, and stops at the field. It keeps nothing of them
//! but the field's own text. What it accepts has one reading only: where parsers differ (a key that comes
//! twice, or in another case), it refuses, since whoever reads the body next may read another model.

mod charset;
mod json;
mod multipart;
mod text;

pub use json::Json;
pub use multipart::Multipart;

use charset::Charset;
use multipart::boundary;

/// The field.
const NAME: &[u8] = b"model";

/// What a body cannot be: a sentence for its sender.
pub type Fault = &'static str;

const TWICE: Fault =
    "The request names its model twice, and servers differ in which one they take.";
const CASE: Fault = "The request has a field that differs from \"model\" in case only, and servers \
    differ in whether they take it; write it in lower case.";

const URLENCODED: Fault = "The request's content-type is application/x-www-form-urlencoded, as which servers could read \
    another model than as JSON; send it with content-type: application/json.";

/// What came of some bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Neither the field nor the end.
    More,
    /// The field, whole.
    Found(Box<str>),
    /// The end, and no field before it, or none after the one that was found.
    Ended,
}

/// What reads one form of body, byte by byte.
trait Machine {
    /// How many of these bytes say nothing, whatever they are; they are passed over together.
    fn plain(&self, bytes: &[u8]) -> usize;

    fn byte(&mut self, byte: u8) -> Result<Step, Fault>;

    /// See [`Scan::feed`].
    fn feed(&mut self, bytes: &[u8]) -> Result<(usize, Step), Fault> {
        let mut at = self.plain(bytes);
        while let Some(byte) = bytes.get(at) {
            let step = self.byte(*byte)?;
            at += 1;
            if step != Step::More {
                return Ok((at, step));
            }
            at += self.plain(&bytes[at..]);
        }
        Ok((bytes.len(), Step::More))
    }
}

/// A scan of either form of body.
pub enum Scan {
    /// A JSON object.
    Json(Box<Json>),
    /// multipart/form-data.
    Multipart(Box<Multipart>),
}

impl Scan {
    /// For a body with this content-type, or none. Whatever is no form is taken for JSON, as some servers do whatever it
    /// says.
    ///
    /// # Errors
    /// A body of that type has no reading here, or could have another one elsewhere.
    pub fn of(content_type: &str) -> Result<Self, Fault> {
        if content_type.to_ascii_lowercase().contains("x-www-form-urlencoded") {
            return Err(URLENCODED);
        }
        let charset = Charset::of(content_type)?;
        Ok(match boundary(content_type)? {
            Some(boundary) => {
                Self::Multipart(Box::new(Multipart::new(&boundary).in_charset(charset)))
            }
            None => Self::Json(Box::new(Json::default().in_charset(charset))),
        })
    }

    /// Takes bytes up to the field, and says how many those were. Fed on after it, it looks for another one.
    ///
    /// # Errors
    /// The body has no reading, or more than one.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<(usize, Step), Fault> {
        match self {
            Self::Json(json) => json.feed(bytes),
            Self::Multipart(multipart) => multipart.feed(bytes),
        }
    }

    /// The body ended here.
    ///
    /// # Errors
    /// It is not whole.
    pub fn end(&self) -> Result<(), Fault> {
        match self {
            Self::Json(json) => json.end(),
            Self::Multipart(multipart) => multipart.end(),
        }
    }
}

/// Whether a name is the field's, read byte by byte.
#[derive(Debug, Clone, Copy, Default)]
struct Matcher {
    /// Bytes that matched; more than there are where one did not.
    at: usize,
    /// Some matched but for its case.
    other_case: bool,
}

impl Matcher {
    fn of(name: &[u8]) -> Self {
        let mut matcher = Self::default();
        for byte in name {
            matcher.take(*byte);
        }
        matcher
    }

    fn take(&mut self, byte: u8) {
        match NAME.get(self.at) {
            Some(want) if byte.eq_ignore_ascii_case(want) => {
                self.other_case |= byte != *want;
                self.at += 1;
            }
            _ => self.fail(),
        }
    }

    fn fail(&mut self) {
        self.at = NAME.len() + 1;
    }

    fn has_failed(self) -> bool {
        self.at > NAME.len()
    }

    /// At the name's end: whether it is the field's.
    fn is_field(self) -> Result<bool, Fault> {
        match self.at == NAME.len() {
            true if self.other_case => Err(CASE),
            is_field => Ok(is_field),
        }
    }
}

#[cfg(test)]
mod tests;
