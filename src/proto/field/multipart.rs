//! A field of multipart/form-data (RFC 7578; RFC 2046, section 5.1).

use memchr::memchr;

use super::charset::OTHER;
use super::text::Text;
use super::{Charset, Fault, Machine, Matcher, Step, TWICE};

/// RFC 2046, section 5.1.1.
const LONGEST_BOUNDARY: usize = 70;
/// Bytes of one part's head: a file's name and type.
const LARGEST_HEAD: usize = 8 * 1024;

const NO_FORM: Fault = "The request body is multipart, and not multipart/form-data.";
const NO_BOUNDARY: Fault =
    "The request's content-type is multipart/form-data without a valid boundary.";
const NOT_MULTIPART: Fault =
    "The request body does not begin with the boundary of its content-type.";
const SYNTAX: Fault = "The request body is not valid multipart/form-data.";
const ENCODED: Fault = "The part of the request's form that has its model is encoded; send it as plain text, without \
    content-transfer-encoding.";
const CUT: Fault = "The request body ended within its multipart/form-data.";

/// Encodings that change nothing (RFC 2045, section 6.2).
const PLAIN: [&str; 3] = ["7bit", "8bit", "binary"];
/// A field that says in which charset the others are (RFC 7578, section 4.6).
const CHARSET_FIELD: &str = "_charset_";

/// As far as the body came.
pub struct Multipart {
    /// A line break and what parts begin with. The only CR in it is the first byte, so that a byte that does
    /// not match can only begin it anew.
    delimiter: Vec<u8>,
    expects: Expects,
    /// Bytes of the delimiter that came.
    matched: usize,
    head: Vec<u8>,
    /// The part is the field.
    is_field: bool,
    seen: bool,
    /// Of the whole body.
    charset: Charset,
    text: Text,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expects {
    /// The first delimiter, without its line break. Nothing may stand before it: what does could be read as
    /// something else.
    Begin,
    /// After a delimiter: a line break, or `--`.
    Delimited,
    LineFeed,
    Dash,
    Head,
    Body,
    /// Nothing: the last delimiter came.
    Nothing,
}

impl Machine for Multipart {
    fn plain(&self, bytes: &[u8]) -> usize {
        if self.expects != Expects::Body || self.matched != 0 || self.is_field {
            return 0;
        }
        memchr(b'\r', bytes).unwrap_or(bytes.len())
    }

    fn byte(&mut self, byte: u8) -> Result<Step, Fault> {
        self.expects = match (self.expects, byte) {
            (Expects::Begin, _) => {
                if byte != self.delimiter[self.matched] {
                    return Err(NOT_MULTIPART);
                }
                self.matched += 1;
                let whole = self.matched == self.delimiter.len();
                if whole { Expects::Delimited } else { Expects::Begin }
            }
            (Expects::Delimited, b'\r') => Expects::LineFeed,
            (Expects::Delimited, b'-') => Expects::Dash,
            (Expects::LineFeed, b'\n') => {
                self.head.clear();
                Expects::Head
            }
            (Expects::Dash, b'-') => {
                self.expects = Expects::Nothing;
                return Ok(Step::Ended);
            }
            (Expects::Head, _) => return self.head(byte),
            (Expects::Body, _) => return self.body(byte),
            (Expects::Nothing, _) => return Ok(Step::Ended),
            (Expects::Delimited | Expects::LineFeed | Expects::Dash, _) => return Err(SYNTAX),
        };
        Ok(Step::More)
    }
}

impl Multipart {
    /// Of a body with this boundary.
    pub fn new(boundary: &str) -> Self {
        Self {
            delimiter: format!("\r\n--{boundary}").into_bytes(),
            expects: Expects::Begin,
            matched: 2,
            head: Vec::new(),
            is_field: false,
            seen: false,
            charset: Charset::default(),
            text: Text::default(),
        }
    }

    /// Of a body in this charset.
    pub(super) fn in_charset(self, charset: Charset) -> Self {
        Self { charset, ..self }
    }

    /// See [`Scan::end`](super::Scan::end).
    pub(super) fn end(&self) -> Result<(), Fault> {
        if self.expects == Expects::Nothing { Ok(()) } else { Err(CUT) }
    }

    fn head(&mut self, byte: u8) -> Result<Step, Fault> {
        self.head.push(byte);
        if self.head == b"\r\n" || self.head.ends_with(b"\r\n\r\n") {
            let field = field(&self.head)?;
            self.is_field = field.is_some();
            if let Some(charset) = field {
                if self.seen {
                    return Err(TWICE);
                }
                (self.seen, self.text.charset) = (true, charset.max(self.charset));
            }
            (self.expects, self.matched) = (Expects::Body, 0);
        } else if self.head.len() == LARGEST_HEAD {
            return Err(SYNTAX);
        }
        Ok(Step::More)
    }

    fn body(&mut self, byte: u8) -> Result<Step, Fault> {
        if byte == self.delimiter[self.matched] {
            self.matched += 1;
            if self.matched < self.delimiter.len() {
                return Ok(Step::More);
            }
            self.expects = Expects::Delimited;
            return if self.is_field {
                self.text.finish().map(Step::Found)
            } else {
                Ok(Step::More)
            };
        }
        let was_text = std::mem::take(&mut self.matched);
        if self.is_field {
            self.text.bytes(&self.delimiter[..was_text])?;
        }
        if byte == self.delimiter[0] {
            self.matched = 1;
        } else if self.is_field {
            self.text.byte(byte)?;
        }
        Ok(Step::More)
    }
}

/// The field's charset, if this part's head makes it the field.
///
/// # Errors
/// It has no one reading, or the text is not what stands there.
fn field(head: &[u8]) -> Result<Option<Charset>, Fault> {
    let head = std::str::from_utf8(head).map_err(|_| SYNTAX)?;
    let (mut disposition, mut charset, mut is_plain) = (None, Ok(Charset::default()), true);
    for line in head.split("\r\n").filter(|line| !line.is_empty()) {
        // A line that goes on in the next one is not of these days, and read by some only.
        if line.starts_with([' ', '\t']) || line.contains(['\r', '\n']) {
            return Err(SYNTAX);
        }
        let (name, value) = line.split_once(':').ok_or(SYNTAX)?;
        let is = |of: &str| name.trim().eq_ignore_ascii_case(of);
        if is("content-disposition") && disposition.replace(value).is_some() {
            return Err(SYNTAX);
        }
        if is("content-type") {
            charset = charset.and_then(|before| Ok(before.max(Charset::of(value)?)));
            is_plain &= !value.to_ascii_lowercase().contains("multipart/");
        }
        if is("content-transfer-encoding") {
            is_plain &= PLAIN.iter().any(|plain| value.trim().eq_ignore_ascii_case(plain));
        }
    }
    let name = disposition.map(|value| parameter(value, "name")).transpose()?.flatten();
    let Some(name) = name else { return Ok(None) };
    if name.eq_ignore_ascii_case(CHARSET_FIELD) {
        return Err(OTHER);
    }
    if !Matcher::of(name.as_bytes()).is_field()? {
        return Ok(None);
    }
    if is_plain { charset.map(Some) } else { Err(ENCODED) }
}

/// The boundary that a content-type names; `None` where it is no multipart/form-data.
///
/// # Errors
/// It names none that can be, or is another kind of multipart.
pub(super) fn boundary(content_type: &str) -> Result<Option<String>, Fault> {
    let lower = content_type.to_ascii_lowercase();
    if lower.split(';').next().unwrap_or_default().trim() != "multipart/form-data" {
        // An upstream may take those for forms, whose preamble would be JSON here.
        return if lower.contains("multipart/") { Err(NO_FORM) } else { Ok(None) };
    }
    let boundary = parameter(content_type, "boundary")?.ok_or(NO_BOUNDARY)?;
    let fits = |byte: u8| byte == b' ' || byte.is_ascii_graphic();
    let is_one = (1..=LONGEST_BOUNDARY).contains(&boundary.len()) && boundary.bytes().all(fits);
    if is_one { Ok(Some(boundary)) } else { Err(NO_BOUNDARY) }
}

/// The value of a parameter behind the first `;`. One that comes twice, or in the extended form (RFC 8187),
/// has more than one reading.
fn parameter(value: &str, name: &str) -> Result<Option<String>, Fault> {
    let mut found = None;
    let mut rest = value.split_once(';').map_or("", |(_, rest)| rest);
    while !rest.trim_matches([' ', '\t', ';']).is_empty() {
        let (key, behind) = rest.split_once('=').ok_or(SYNTAX)?;
        let key = key.trim_matches([' ', '\t', ';']);
        let quoted = behind.trim_start_matches([' ', '\t']).strip_prefix('"');
        let (text, behind) = if let Some(quoted) = quoted {
            unquote(quoted).ok_or(SYNTAX)?
        } else {
            let end = behind.find(';').unwrap_or(behind.len());
            (behind[..end].trim_matches([' ', '\t']).to_owned(), &behind[end..])
        };
        let extended = key.strip_suffix('*').is_some_and(|key| key.eq_ignore_ascii_case(name));
        if extended || (key.eq_ignore_ascii_case(name) && found.replace(text).is_some()) {
            return Err(SYNTAX);
        }
        rest = behind;
        let next = rest.trim_start_matches([' ', '\t']);
        if !next.is_empty() && !next.starts_with(';') {
            return Err(SYNTAX);
        }
    }
    Ok(found)
}

/// What stands before the closing quote, and what behind it.
fn unquote(quoted: &str) -> Option<(String, &str)> {
    let mut text = String::new();
    let mut chars = quoted.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((text, &quoted[at + 1..])),
            '\\' => text.push(chars.next()?.1),
            c => text.push(c),
        }
    }
    None
}
