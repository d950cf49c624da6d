//! The field's own text.

use super::{Charset, Fault};

/// Longest model, in bytes: those of fine-tuned ones have some 100, a path of a local one may have more.
const LONGEST: usize = 512;

const LONG: Fault = "The request's model has more than 512 bytes.";
const NOT_UNICODE: Fault = "The request's model is not valid Unicode text.";

/// As far as it came.
#[derive(Debug, Default)]
pub(super) struct Text {
    /// Of what is not escaped.
    pub(super) charset: Charset,
    bytes: Vec<u8>,
    /// The first half of a UTF-16 pair, whose second must follow.
    half: Option<u16>,
}

impl Text {
    pub(super) fn byte(&mut self, byte: u8) -> Result<(), Fault> {
        self.bytes(&[byte])
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        self.charset.takes(bytes)?;
        self.push(bytes)
    }

    fn push(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        if self.half.is_some() {
            return Err(NOT_UNICODE);
        }
        if self.bytes.len() + bytes.len() > LONGEST {
            return Err(LONG);
        }
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    /// A code unit of UTF-16, as JSON's `\u` has it.
    pub(super) fn unit(&mut self, unit: u16) -> Result<(), Fault> {
        let decoded = match (self.half.take(), unit) {
            (None, 0xD800..=0xDBFF) => {
                self.half = Some(unit);
                return Ok(());
            }
            (None, _) => char::from_u32(u32::from(unit)),
            (Some(high), _) => char::decode_utf16([high, unit]).next().and_then(Result::ok),
        };
        // A first half that no second follows decodes to an error; so does a second half alone.
        let Some(decoded) = decoded else { return Err(NOT_UNICODE) };
        self.push(decoded.encode_utf8(&mut [0; 4]).as_bytes())
    }

    /// All of it came.
    pub(super) fn finish(&mut self) -> Result<Box<str>, Fault> {
        if self.half.is_some() {
            return Err(NOT_UNICODE);
        }
        let text = String::from_utf8(std::mem::take(&mut self.bytes));
        text.map(String::into_boxed_str).map_err(|_| NOT_UNICODE)
    }
}
