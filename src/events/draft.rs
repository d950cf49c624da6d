//! One event before it has its place: its fields checked, and its lines as subscribers get them.

use bytes::Bytes;

use super::id::{LONGEST, is_like_ours};

/// What is wrong with what was published: a sentence for the publisher.
pub type Unfit = &'static str;

const NO_DATA: Unfit =
    "The event has no data, and clients show no such event; write an empty data to send none.";
const EVENT: Unfit = "An event's type must not contain CR, LF or NUL.";
const ID: Unfit = "An event's id must be 1 to 256 bytes without control characters.";
const RESERVED: Unfit = "An event's id must not begin with # nor be the word earliest, and the form of the \
    proxy's own ids (16 hex digits and -) is reserved; leave the id out to get one.";
const RETRY: Unfit = "An event's retry must be a whole number of milliseconds, at most 4294967295.";

/// The word that stands for the beginning where an id is asked for (Mercure, section "Reconciliation").
pub(super) const EARLIEST: &str = "earliest";

/// The fields of an event as a publisher wrote them.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Fields<'a> {
    /// Chosen by the publisher.
    pub id: Option<&'a str>,
    /// Its type.
    pub event: Option<&'a str>,
    /// Digits.
    pub retry: Option<&'a str>,
    /// Lines end by CR, LF or both.
    pub data: Option<&'a str>,
}

/// An event without its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// What the publisher chose; otherwise the place becomes the id.
    pub id: Option<Box<str>>,
    /// All lines but that of the id, and the blank one behind them.
    pub lines: Bytes,
}

impl Draft {
    /// Of fields.
    ///
    /// # Errors
    /// What no event can have.
    pub fn new(fields: Fields<'_>) -> Result<Self, Unfit> {
        let Fields { id, event, retry, data } = fields;
        let data = data.ok_or(NO_DATA)?;
        if let Some(id) = id {
            check_id(id)?;
        }
        let mut lines = Vec::with_capacity(data.len() + 32);
        if let Some(event) = event {
            if event.bytes().any(|byte| matches!(byte, b'\r' | b'\n' | 0)) {
                return Err(EVENT);
            }
            line(&mut lines, "event", event);
        }
        if let Some(retry) = retry {
            let digits = retry.bytes().all(|byte| byte.is_ascii_digit());
            let retry = retry.parse::<u32>().ok().filter(|_| digits).ok_or(RETRY)?;
            line(&mut lines, "retry", &retry.to_string());
        }
        for text in data_lines(data) {
            line(&mut lines, "data", text);
        }
        lines.push(b'\n');
        Ok(Self { id: id.map(Into::into), lines: lines.into() })
    }

    /// The event as subscribers get it.
    pub(super) fn encode(&self, id: &str) -> Bytes {
        let mut whole = Vec::with_capacity(self.lines.len() + id.len() + 5);
        line(&mut whole, "id", id);
        whole.extend_from_slice(&self.lines);
        whole.into()
    }
}

fn check_id(id: &str) -> Result<(), Unfit> {
    if id.is_empty() || id.len() > LONGEST || id.chars().any(char::is_control) {
        return Err(ID);
    }
    // A subscriber's header is trimmed on its way.
    if id.trim() != id || id.starts_with('#') || id == EARLIEST || is_like_ours(id) {
        return Err(RESERVED);
    }
    Ok(())
}

/// A blank after the colon: the first one belongs to the form, so that a value may begin with one.
fn line(lines: &mut Vec<u8>, name: &str, value: &str) {
    for part in [name, ": ", value, "\n"] {
        lines.extend_from_slice(part.as_bytes());
    }
}

/// An end of line of a client's is one of ours: whoever reads the event would see one there.
fn data_lines(data: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(data);
    std::iter::from_fn(move || {
        let text = rest?;
        let Some(at) = text.find(['\r', '\n']) else { return rest.take() };
        let (line, behind) = text.split_at(at);
        rest = Some(behind.strip_prefix("\r\n").unwrap_or(&behind[1..]));
        Some(line)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(fields: Fields<'_>) -> String {
        String::from_utf8(Draft::new(fields).unwrap().encode("7").to_vec()).unwrap()
    }

    #[test]
    fn each_line_of_the_data_is_a_line_of_the_event() {
        for (data, expected) in [
            ("", "data: \n"),
            ("a", "data: a\n"),
            (" a", "data:  a\n"),
            ("a\nb", "data: a\ndata: b\n"),
            ("a\r\nb\rc\n", "data: a\ndata: b\ndata: c\ndata: \n"),
            ("\n\r", "data: \ndata: \ndata: \n"),
        ] {
            let fields = Fields { data: Some(data), ..Fields::default() };
            assert_eq!(lines(fields), format!("id: 7\n{expected}\n"), "{data:?}");
        }
        let all = Fields { id: None, event: Some("done"), retry: Some("007"), data: Some("x: y") };
        assert_eq!(lines(all), "id: 7\nevent: done\nretry: 7\ndata: x: y\n\n");
    }

    #[test]
    fn what_could_forge_a_line_or_a_cursor_is_refused() {
        let data = Some("x");
        for event in ["a\nb", "a\rb", "a\0"] {
            let fields = Fields { event: Some(event), data, ..Fields::default() };
            assert_eq!(Draft::new(fields), Err(EVENT));
        }
        for retry in ["", "-1", "+1", "1.5", "1s", "1\n", "4294967296", "٣"] {
            let fields = Fields { retry: Some(retry), data, ..Fields::default() };
            assert_eq!(Draft::new(fields), Err(RETRY), "{retry}");
        }
        let long = "x".repeat(257);
        for id in ["", "a\nb", "a\rb", "a\0b", "a\tb", "\u{7f}", &long] {
            let fields = Fields { id: Some(id), data, ..Fields::default() };
            assert_eq!(Draft::new(fields), Err(ID), "{id:?}");
        }
        for id in ["#1", "earliest", " a", "a ", "00000000000000ff-1", "00000000000000ff-x"] {
            let fields = Fields { id: Some(id), data, ..Fields::default() };
            assert_eq!(Draft::new(fields), Err(RESERVED), "{id:?}");
        }
        assert_eq!(Draft::new(Fields::default()), Err(NO_DATA));
    }
}
