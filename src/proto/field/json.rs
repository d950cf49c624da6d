//! A field of a JSON object (RFC 8259).
//!
//! The grammar of what nests is held to strictly; what a number or a word may be is for whoever reads it: it ends
//! at the same byte for everyone. Keys are compared after their escapes are undone.

use memchr::memchr2;

use super::text::Text;
use super::{Charset, Fault, Machine, Matcher, Step, TWICE};

/// Deepest nesting: other parsers end at 128 (`serde_json`) or some 1,000 (Python).
const DEEPEST: usize = 256;

/// Some writers begin with it, some readers take it.
const BYTE_ORDER_MARK: [u8; 3] = [0xEF, 0xBB, 0xBF];

const NOT_AN_OBJECT: Fault = "The request body is not a JSON object.";
const SYNTAX: Fault = "The request body is not valid JSON.";
const DEEP: Fault = "The request body nests deeper than 256 levels.";
const NOT_TEXT: Fault = "The request's model is not a string.";
const CUT: Fault = "The request body ended within its JSON.";

/// As far as the text came.
pub struct Json {
    expects: Expects,
    /// Open objects and arrays.
    depth: usize,
    /// A bit for each of them: it is an object.
    objects: [u64; DEEPEST / 64],
    /// What the string of the moment is.
    role: Role,
    key: Matcher,
    /// The field's key came.
    seen: bool,
    text: Text,
    /// Digits of a `\u` so far, and how many.
    unit: (u16, u8),
}

/// What comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expects {
    /// The text's begin; so many bytes of a byte order mark came.
    Begin(u8),
    /// A key, or the object's end.
    FirstKey,
    Key,
    Colon,
    Value,
    /// A value, or the array's end.
    FirstItem,
    /// More of a number or word.
    Scalar,
    /// A comma, or the end of what is open.
    Comma,
    /// More of a string.
    Char,
    Escaped,
    Digit,
    /// Nothing: the object ended.
    Nothing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    /// A key of the outermost object.
    Key,
    /// Any other key.
    InnerKey,
    /// The field.
    Field,
    /// Any other value.
    Value,
}

impl Default for Json {
    fn default() -> Self {
        Self {
            expects: Expects::Begin(0),
            depth: 0,
            objects: [0; DEEPEST / 64],
            role: Role::Value,
            key: Matcher::default(),
            seen: false,
            text: Text::default(),
            unit: (0, 0),
        }
    }
}

impl Machine for Json {
    fn plain(&self, bytes: &[u8]) -> usize {
        if !self.skips() {
            return 0;
        }
        let end = memchr2(b'"', b'\\', bytes).unwrap_or(bytes.len());
        // Without a branch for each byte, which is several times as fast where there is none.
        if bytes[..end].iter().fold(false, |found, byte| found | is_control(*byte)) {
            return bytes.iter().position(|byte| is_control(*byte)).unwrap_or(end);
        }
        end
    }

    fn byte(&mut self, byte: u8) -> Result<Step, Fault> {
        match self.expects {
            Expects::Char => return self.char(byte),
            Expects::Escaped => self.escaped(byte)?,
            Expects::Digit => self.digit(byte)?,
            Expects::Scalar if is_scalar(byte) => {}
            Expects::Begin(got) => self.begin(byte, got)?,
            Expects::Nothing => return Ok(Step::Ended),
            _ if matches!(byte, b' ' | b'\t' | b'\n' | b'\r') => {
                if self.expects == Expects::Scalar {
                    self.expects = Expects::Comma;
                }
            }
            Expects::Key | Expects::FirstKey if byte == b'"' => self.begin_key(),
            Expects::Colon if byte == b':' => self.expects = Expects::Value,
            Expects::Value | Expects::FirstItem if byte != b']' => self.begin_value(byte)?,
            Expects::Comma | Expects::Scalar if byte == b',' => {
                self.expects = if self.in_object() { Expects::Key } else { Expects::Value };
            }
            Expects::Comma | Expects::Scalar if byte == self.closing() => return Ok(self.close()),
            Expects::FirstKey if byte == b'}' => return Ok(self.close()),
            Expects::FirstItem => return Ok(self.close()),
            _ => return Err(SYNTAX),
        }
        Ok(Step::More)
    }
}

impl Json {
    /// Of a body in this charset.
    pub(super) fn in_charset(mut self, charset: Charset) -> Self {
        self.text.charset = charset;
        self
    }

    /// See [`Scan::end`](super::Scan::end).
    pub(super) fn end(&self) -> Result<(), Fault> {
        match self.expects {
            Expects::Nothing => Ok(()),
            Expects::Begin(_) => Err(NOT_AN_OBJECT),
            _ => Err(CUT),
        }
    }

    /// Inside a string that says nothing.
    fn skips(&self) -> bool {
        self.expects == Expects::Char
            && match self.role {
                Role::Key => self.key.has_failed(),
                Role::Field => false,
                Role::InnerKey | Role::Value => true,
            }
    }

    fn begin(&mut self, byte: u8, got: u8) -> Result<(), Fault> {
        match (got, byte) {
            (0 | 3, b' ' | b'\t' | b'\n' | b'\r') => self.expects = Expects::Begin(3),
            (0 | 3, b'{') => return self.open(true),
            (0..3, _) if byte == BYTE_ORDER_MARK[usize::from(got)] => {
                self.expects = Expects::Begin(got + 1);
            }
            _ => return Err(NOT_AN_OBJECT),
        }
        Ok(())
    }

    fn begin_key(&mut self) {
        self.key = Matcher::default();
        self.role = if self.depth == 1 { Role::Key } else { Role::InnerKey };
        self.expects = Expects::Char;
    }

    fn begin_value(&mut self, byte: u8) -> Result<(), Fault> {
        let is_field = self.depth == 1 && self.key.at == super::NAME.len();
        match byte {
            b'"' => {
                self.role = if is_field { Role::Field } else { Role::Value };
                self.expects = Expects::Char;
            }
            _ if is_field => return Err(NOT_TEXT),
            b'{' => self.open(true)?,
            b'[' => self.open(false)?,
            _ if is_scalar(byte) => self.expects = Expects::Scalar,
            _ => return Err(SYNTAX),
        }
        Ok(())
    }

    fn open(&mut self, object: bool) -> Result<(), Fault> {
        if self.depth == DEEPEST {
            return Err(DEEP);
        }
        let (word, bit) = (self.depth / 64, 1 << (self.depth % 64));
        if object {
            self.objects[word] |= bit;
        } else {
            self.objects[word] &= !bit;
        }
        self.depth += 1;
        self.expects = if object { Expects::FirstKey } else { Expects::FirstItem };
        Ok(())
    }

    fn close(&mut self) -> Step {
        self.depth = self.depth.saturating_sub(1);
        if self.depth == 0 {
            self.expects = Expects::Nothing;
            return Step::Ended;
        }
        self.expects = Expects::Comma;
        Step::More
    }

    fn in_object(&self) -> bool {
        let at = self.depth.saturating_sub(1);
        self.objects[at / 64] & (1 << (at % 64)) != 0
    }

    fn closing(&self) -> u8 {
        if self.in_object() { b'}' } else { b']' }
    }

    fn char(&mut self, byte: u8) -> Result<Step, Fault> {
        match (byte, self.role) {
            (b'\\', _) => self.expects = Expects::Escaped,
            (b'"', Role::Value) => self.expects = Expects::Comma,
            (b'"', Role::InnerKey) => self.expects = Expects::Colon,
            (b'"', Role::Key) => {
                if self.key.is_field()? {
                    if self.seen {
                        return Err(TWICE);
                    }
                    self.seen = true;
                }
                self.expects = Expects::Colon;
            }
            (b'"', Role::Field) => {
                self.expects = Expects::Comma;
                return self.text.finish().map(Step::Found);
            }
            // In no string may one stand as it is: who takes it reads a body that others do not.
            _ if is_control(byte) => return Err(SYNTAX),
            (_, Role::Key) => self.key.take(byte),
            (_, Role::Field) => self.text.byte(byte)?,
            (_, Role::InnerKey | Role::Value) => {}
        }
        Ok(Step::More)
    }

    fn escaped(&mut self, byte: u8) -> Result<(), Fault> {
        let meant = match byte {
            b'"' | b'\\' | b'/' => byte,
            b'b' => 0x08,
            b'f' => 0x0C,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'u' => {
                (self.unit, self.expects) = ((0, 0), Expects::Digit);
                return Ok(());
            }
            _ => return Err(SYNTAX),
        };
        self.undone(u16::from(meant))
    }

    fn digit(&mut self, byte: u8) -> Result<(), Fault> {
        let digit = char::from(byte).to_digit(16).ok_or(SYNTAX)?;
        let (unit, digits) = (self.unit.0 << 4 | digit as u16, self.unit.1 + 1);
        self.unit = (unit, digits);
        if digits == 4 { self.undone(unit) } else { Ok(()) }
    }

    /// An escape is whole, and means this code unit.
    fn undone(&mut self, unit: u16) -> Result<(), Fault> {
        self.expects = Expects::Char;
        match self.role {
            Role::Key => match u8::try_from(unit) {
                Ok(byte) if byte.is_ascii() => self.key.take(byte),
                _ => self.key.fail(),
            },
            Role::Field => self.text.unit(unit)?,
            Role::InnerKey | Role::Value => {}
        }
        Ok(())
    }
}

fn is_control(byte: u8) -> bool {
    byte < 0x20
}

/// Of a number or a word; `NaN` and `Infinity`, which Python writes, are words.
fn is_scalar(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'+' | b'.')
}
